/* moonloop.web.coding: gzip and brotli for responses, and what clients accept. What is compressed,
   and when, is decided in scripts/moonloop/web/compress.lua. */
#include "base/accept.h"
#include "bindings/class.h"
#include "bindings/web/open.h"
#include "core/thread_job.h"
#include "core/wait.h"
#include "http/content_coding.h"
#include "http/server/http_accept.h"

#include <lauxlib.h>
#include <stdlib.h>

#define WEB_ENCODER "moonloop.web.encoder"

/* Texts of more bytes would hold the loop for more than half a millisecond, so they are compressed
   on a thread of libuv's pool. */
enum { ON_LOOP = 32 * 1024, SLOWER = 8 /* than to move them */ };

/* --- jobs --- */

typedef struct CodingJob {
  ThreadJob job;
  ContentCoder *coder; /* owned by the job while it runs; NULL: a whole content is compressed */
  ContentCoding coding;
  int level;
  CodingResult result;
  Buffer out;
  size_t size;
  char bytes[];
} CodingJob;

/* The userdata: an encoder, and a finished job until its results have been passed to Lua. */
typedef struct EncoderBox {
  ContentCoder *coder; /* NULL: busy, or closed */
  CodingJob *done;     /* or NULL */
  Buffer out;          /* scratch */
} EncoderBox;

static void coding_job_drop(ThreadJob *head) {
  CodingJob *job = (CodingJob *)head;
  content_coding_coder_free(job->coder);
  buffer_free(&job->out);
  free(job);
}

static void drop_done(EncoderBox *box) {
  if (box->done) coding_job_drop(&box->done->job);
  box->done = NULL;
}

/* Appends the compressed `bytes`, flushed so that all of them can be decoded. */
static CodingResult feed_and_flush(ContentCoder *coder, const char *bytes, size_t n, Buffer *out) {
  CodingResult result = content_coding_coder_feed(coder, &bytes, &n, out, SIZE_MAX);
  return result == CODING_DONE ? content_coding_coder_flush(coder, out) : result;
}

static void coding_run(ThreadJob *head) {
  CodingJob *job = (CodingJob *)head;
  job->result = job->coder ? feed_and_flush(job->coder, job->bytes, job->size, &job->out)
                           : content_coding_encode(job->coding, job->level, job->bytes, job->size,
                                                   &head->abandoned, &job->out);
}

/* Pushes the output as a string. */
static int push_out(lua_State *L, CodingResult result, const Buffer *out) {
  if (result != CODING_DONE) return luaL_error(L, "not enough memory to compress the response");
  lua_pushlstring(L, out->data ? out->data : "", out->len);
  return 1;
}

/* The box is at index 1. */
static int coding_finish(lua_State *L, Task *t, void *op) {
  (void)t;
  EncoderBox *box = lua_touserdata(L, 1);
  CodingJob *job = box->done = op;
  push_out(L, job->result, &job->out);
  box->coder = job->coder;
  job->coder = NULL;
  drop_done(box);
  return 1;
}

static const WaitType coding_wait = {
    .name = "compression", .cancel = thread_job_cancel, .finish = coding_finish};

/* A job for `text`; the caller sets what to do with it. */
static CodingJob *coding_job_new(lua_State *L, const char *text, size_t size) {
  CodingJob *job = malloc(sizeof *job + size);
  if (!job) luaL_error(L, "not enough memory to compress the response");
  *job = (CodingJob){.job = {.run = coding_run, .drop = coding_job_drop}, .size = size};
  memcpy(job->bytes, text, size);
  return job;
}

/* --- arguments --- */

static ContentCoding check_coding(lua_State *L, int index) {
  ContentCoding coding;
  size_t n;
  const char *name = luaL_checklstring(L, index, &n);
  if (!content_coding_find(name, n, &coding) || coding == CODING_DEFLATE)
    luaL_argerror(L, index, "'br' or 'gzip' expected");
  return coding;
}

static int check_level(lua_State *L, int index) {
  lua_Integer level = luaL_optinteger(L, index, 0);
  luaL_argcheck(L, level >= 0 && level <= 9, index, "the level must be 1 to 9");
  return (int)level;
}

static EncoderBox *push_box(lua_State *L) {
  EncoderBox *box = lua_newuserdatauv(L, sizeof *box, 0);
  *box = (EncoderBox){0};
  luaL_setmetatable(L, WEB_ENCODER);
  return box;
}

static EncoderBox *check_encoder(lua_State *L) { return luaL_checkudata(L, 1, WEB_ENCODER); }

/* --- functions --- */

/* choose(accept_encoding | nil) -> "br" | "gzip" | nil: the coding that a request's Accept-Encoding
   asks for */
static int l_choose(lua_State *L) {
  ContentCoding coding;
  size_t n;
  const char *value = luaL_optlstring(L, 1, "", &n);
  if (!http_accept_coding(value, n, &coding)) return 0;
  lua_pushstring(L, coding == CODING_BROTLI ? "br" : "gzip");
  return 1;
}

/* weight(accept | nil, media type) -> integer: in thousandths; 0: the header Accept does not name
   it, or refuses it */
static int l_weight(lua_State *L) {
  size_t n;
  const char *accept = luaL_optlstring(L, 1, "", &n);
  lua_pushinteger(L, accept_media(accept, n, luaL_checkstring(L, 2)));
  return 1;
}

/* compress(text, coding [, level]) -> bytes. Suspends for a long text. */
static int l_compress(lua_State *L) {
  size_t size;
  const char *text = luaL_checklstring(L, 1, &size);
  ContentCoding coding = check_coding(L, 2);
  int level = check_level(L, 3);
  lua_settop(L, 1);
  EncoderBox *box = push_box(L);
  lua_insert(L, 1);
  if (size <= ON_LOOP) {
    push_out(L, content_coding_encode(coding, level, text, size, NULL, &box->out), &box->out);
    buffer_free(&box->out);
    return 1;
  }
  Task *t = ml_wait_enter(L, "compress");
  CodingJob *job = coding_job_new(L, text, size);
  job->coding = coding;
  job->level = level;
  return thread_job_suspend(L, t, &coding_wait, &job->job);
}

/* encoder(coding [, level]) -> encoder */
static int l_encoder(lua_State *L) {
  ContentCoding coding = check_coding(L, 1);
  int level = check_level(L, 2);
  EncoderBox *box = push_box(L);
  box->coder = content_coding_encoder_new(coding, level);
  if (!box->coder) return luaL_error(L, "not enough memory to compress the response");
  return 1;
}

static EncoderBox *check_open(lua_State *L) {
  EncoderBox *box = check_encoder(L);
  if (!box->coder) luaL_error(L, "the encoder is closed");
  return box;
}

/* encoder:write(text [, from [, size]]) -> bytes from which all texts so far can be decoded. Takes
   at most `size` bytes of `text` from the position `from` on. Suspends for long texts; only one
   write at a time. A cancelled write closes the encoder. */
static int l_write(lua_State *L) {
  EncoderBox *box = check_open(L);
  size_t size;
  const char *text = luaL_checklstring(L, 2, &size);
  lua_Integer from = luaL_optinteger(L, 3, 1), most = luaL_optinteger(L, 4, LUA_MAXINTEGER);
  luaL_argcheck(L, from >= 1 && (size_t)from <= size + 1, 3, "not within the text");
  luaL_argcheck(L, most >= 0, 4, "the size must not be negative");
  text += from - 1;
  size -= (size_t)from - 1;
  if ((lua_Unsigned)most < size) size = (size_t)most;
  if (size <= ON_LOOP) {
    box->out.len = 0;
    int n = push_out(L, feed_and_flush(box->coder, text, size, &box->out), &box->out);
    return wait_spared(L, n, wait_cost(SLOWER * size));
  }
  Task *t = ml_wait_enter(L, "encoder:write");
  CodingJob *job = coding_job_new(L, text, size);
  job->coder = box->coder;
  box->coder = NULL;
  return thread_job_suspend(L, t, &coding_wait, &job->job);
}

/* encoder:close(); also __gc and __close. */
static int l_close(lua_State *L) {
  EncoderBox *box = check_encoder(L);
  content_coding_coder_free(box->coder);
  box->coder = NULL;
  drop_done(box);
  buffer_free(&box->out);
  return 0;
}

/* encoder:finish() -> the last bytes. Closes the encoder. */
static int l_finish(lua_State *L) {
  EncoderBox *box = check_open(L);
  box->out.len = 0;
  push_out(L, content_coding_coder_finish(box->coder, &box->out), &box->out);
  l_close(L);
  return 1;
}

int luaopen_moonloop_web_coding(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"write", l_write}, {"finish", l_finish}, {"close", l_close}, {NULL, NULL}};
  static const luaL_Reg functions[] = {{"choose", l_choose},
                                       {"weight", l_weight},
                                       {"compress", l_compress},
                                       {"encoder", l_encoder},
                                       {NULL, NULL}};
  class_make(L, WEB_ENCODER, methods, l_close, l_close);
  luaL_newlib(L, functions);
  return 1;
}
