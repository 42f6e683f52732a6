/* Bodies of moonloop.http.plain bit by bit: uploads and readers (http_plain.c describes them). */
#include "http_plain.h"
#include "modules.h"
#include <lauxlib.h>
#include <string.h>

#define READER "moonloop.http.plain.reader"
#define UPLOAD "moonloop.http.plain.upload"
#define MAX_PIECE (64 * 1024) /* bytes that a read gives */

/* A reader or an upload. Its user values are what its exchange needs of Lua. */
enum { KEEPS_POOL = 1, KEEPS_METHOD, KEEPS_URL, KEEPS_BODY };
typedef struct Handle {
  PlainExchange *x; /* NULL: closed, or over */
  double timeout;   /* seconds of each wait */
  bool whole;       /* the end of the body was read */
} Handle;

static void handle_close(Handle *h) {
  if (h->x) plain_exchange_release(h->x);
  h->x = NULL;
}

/* Pushes a handle of the pool at 1. */
static Handle *push_handle(lua_State *L, const char *type, double timeout) {
  Handle *h = lua_newuserdatauv(L, sizeof *h, KEEPS_BODY);
  *h = (Handle){.timeout = timeout};
  luaL_setmetatable(L, type);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, KEEPS_POOL);
  return h;
}

/* Lets the handle at `index` keep a value, which may be nil. */
static void keep(lua_State *L, int index, int what, int value) {
  lua_pushvalue(L, value);
  lua_setiuservalue(L, index, what);
}

/* Starts an exchange for the handle on the top of L; see http_plain_start_arguments. */
static int start(lua_State *L, Handle *h, PlainRequest *request, int unix_path, size_t max_body) {
  int top = lua_gettop(L);
  int failed = http_plain_start_arguments(L, request, unix_path, h->timeout, max_body, true, &h->x);
  if (failed) return failed;
  keep(L, top, KEEPS_METHOD, 2);
  keep(L, top, KEEPS_URL, 3);
  if (request->body) keep(L, top, KEEPS_BODY, 5);
  lua_settop(L, top);
  return 0;
}

/* The handle at 1, which no other task waits for. */
static Handle *check_handle(lua_State *L, const char *type) {
  Handle *h = luaL_checkudata(L, 1, type);
  if (h->x && h->x->waits) luaL_error(L, "another task waits for this %s", strrchr(type, '.') + 1);
  return h;
}

static int l_close(lua_State *L) {
  handle_close(lua_touserdata(L, 1));
  return 0;
}

static void wait_cancel(Task *task, void *op) {
  (void)task;
  handle_close(op);
}

/* Goes on with `type->finish` when there is what is wanted of the exchange. */
static int wait_for(lua_State *L, Task *task, Handle *h, PlainWant want, const WaitType *type) {
  if (plain_exchange_has(h->x, want)) return type->finish(L, task, h);
  if (!plain_exchange_wait(h->x, want, ml_wait_waker(task), h->timeout)) {
    handle_close(h);
    return luaL_error(L, "not enough memory");
  }
  return ml_wait_suspend(L, task, type, h);
}

static void describe_request(const Task *task, const void *op, char *text, size_t size) {
  (void)task;
  http_plain_describe(((const Handle *)op)->x, "request", text, size);
}

/* --- readers --- */

/* The head has come, or nothing will. The reader is on the top of L. */
static int head_finish(lua_State *L, Task *task, void *op) {
  (void)task;
  Handle *h = op;
  PlainExchange *x = h->x;
  int reader = lua_gettop(L);
  if (x->error_kind && !x->response.head_read) {
    int n = http_plain_push_error(L, x);
    handle_close(h);
    return n;
  }
  lua_pushinteger(L, x->response.status);
  lua_pushvalue(L, reader);
  lua_pushlstring(L, x->response.head.data ? x->response.head.data : "", x->response.head.len);
  lua_getiuservalue(L, reader, KEEPS_URL);
  return 4;
}

static const WaitType head_wait = {.name = "http request",
                                   .cancel = wait_cancel,
                                   .finish = head_finish,
                                   .describe = describe_request};

int http_plain_stream(lua_State *L, PlainRequest *request, double timeout, size_t max_body) {
  Task *task = ml_wait_enter(L, "ml.http");
  Handle *h = push_handle(L, READER, timeout);
  int failed = start(L, h, request, 9, max_body);
  if (failed) return failed;
  return wait_for(L, task, h, PLAIN_WANTS_HEAD, &head_wait);
}

static void describe_read(const Task *task, const void *op, char *text, size_t size) {
  (void)task;
  http_plain_describe(((const Handle *)op)->x, "body of", text, size);
}

static int read_finish(lua_State *L, Task *task, void *op);
static const WaitType read_wait = {
    .name = "http body", .cancel = wait_cancel, .finish = read_finish, .describe = describe_read};

static int read_finish(lua_State *L, Task *task, void *op) {
  Handle *h = op;
  PlainExchange *x = h->x;
  Buffer *piece = &x->client->piece;
  piece->len = 0;
  if (x->error_kind || !plain_exchange_take(x, piece, MAX_PIECE))
    return http_plain_push_error(L, x);
  if (piece->len) {
    lua_pushlstring(L, piece->data, piece->len);
    return 1;
  }
  if (!x->over || plain_response_waiting(&x->response)) { /* its coding has nothing to give yet */
    ml_wait_check_cancel(L);
    return wait_for(L, task, h, PLAIN_WANTS_PIECE, &read_wait);
  }
  handle_close(h);
  h->whole = true;
  lua_pushnil(L);
  return 1;
}

/* reader:read() -> piece | nil | nil, err: the next piece of the body, not empty; nil at its end.
   Suspends until there is one. */
static int reader_read(lua_State *L) {
  Handle *h = check_handle(L, READER);
  lua_settop(L, 1);
  if (h->whole) return lua_pushnil(L), 1;
  if (!h->x) return ml_error_return(L, "closed", NULL, "the response's body is closed");
  Task *task = ml_wait_enter(L, "read");
  return wait_for(L, task, h, PLAIN_WANTS_PIECE, &read_wait);
}

/* --- uploads --- */

/* There is a connection, or none will be. The upload is on the top of L. */
static int begin_finish(lua_State *L, Task *task, void *op) {
  (void)task;
  Handle *h = op;
  if (!h->x->error_kind) return 1;
  int n = http_plain_push_error(L, h->x);
  handle_close(h);
  return n;
}

static const WaitType begin_wait = {.name = "http request",
                                    .cancel = wait_cancel,
                                    .finish = begin_finish,
                                    .describe = describe_request};

int http_plain_begin(lua_State *L) {
  lua_settop(L, 7);
  PlainRequest request = {.framing = PLAIN_BODY_CHUNKED};
  if (!lua_isnil(L, 5)) {
    lua_Number length = luaL_checknumber(L, 5);
    luaL_argcheck(L, length >= 0 && length < 9e15, 5, "a length in bytes expected");
    request.framing = PLAIN_BODY_LENGTH;
    request.body_len = (size_t)length;
  }
  double timeout = luaL_checknumber(L, 6);
  Task *task = ml_wait_enter(L, "ml.http");
  Handle *h = push_handle(L, UPLOAD, timeout);
  int failed = start(L, h, &request, 7, SIZE_MAX);
  if (failed) return failed;
  return wait_for(L, task, h, PLAIN_WANTS_CONNECTION, &begin_wait);
}

/* The upload at 1, which is not over. */
static Handle *check_upload(lua_State *L) {
  Handle *h = check_handle(L, UPLOAD);
  if (!h->x) luaL_error(L, "the upload is over");
  return h;
}

static int write_finish(lua_State *L, Task *task, void *op) {
  (void)task;
  const PlainExchange *x = ((Handle *)op)->x;
  if (x->error_kind) return http_plain_push_error(L, x);
  lua_pushboolean(L, !x->response.head_read);
  return 1;
}

static void describe_upload(const Task *task, const void *op, char *text, size_t size) {
  (void)task;
  http_plain_describe(((const Handle *)op)->x, "upload of", text, size);
}

static const WaitType write_wait = {.name = "http upload",
                                    .cancel = wait_cancel,
                                    .finish = write_finish,
                                    .describe = describe_upload};

/* upload:write(piece) -> true | false | nil, err: suspends until there is room for more; false when
   the response has begun and no more of the body is wanted. */
static int upload_write(lua_State *L) {
  Handle *h = check_upload(L);
  PlainExchange *x = h->x;
  size_t n;
  const char *bytes = luaL_checklstring(L, 2, &n);
  if (x->request.framing == PLAIN_BODY_LENGTH && n > x->request.body_len - x->written)
    return luaL_error(L, "the body is longer than its length of %I bytes",
                      (lua_Integer)x->request.body_len);
  Task *task = ml_wait_enter(L, "write");
  if (x->over || x->response.head_read) return write_finish(L, task, h);
  if (!plain_exchange_write(x, bytes, n)) return luaL_error(L, "not enough memory");
  return wait_for(L, task, h, PLAIN_WANTS_ROOM, &write_wait);
}

/* The response is there as a whole. */
static int response_finish(lua_State *L, Task *task, void *op) {
  (void)task;
  Handle *h = op;
  PlainExchange *x = h->x;
  lua_getiuservalue(L, 1, KEEPS_URL);
  h->x = NULL;
  return http_plain_push_response(L, x, lua_gettop(L));
}

static const WaitType response_wait = {.name = "http request",
                                       .cancel = wait_cancel,
                                       .finish = response_finish,
                                       .describe = describe_request};

/* Ends the body where there is still a use for it. */
static void end_body(lua_State *L, PlainExchange *x) {
  if (x->over || x->response.head_read) return;
  if (x->request.framing == PLAIN_BODY_LENGTH && x->written < x->request.body_len)
    luaL_error(L, "the body is shorter than its length of %I bytes: %I",
               (lua_Integer)x->request.body_len, (lua_Integer)x->written);
  if (!plain_exchange_end_body(x)) luaL_error(L, "not enough memory");
}

/* upload:response(max_body, stream) -> what request gives: ends the body, waits for the response,
   as a whole or (`stream`) until its head is there. */
static int upload_response(lua_State *L) {
  Handle *h = check_upload(L);
  size_t max_body = http_plain_check_size(L, 2);
  bool stream = lua_toboolean(L, 3);
  lua_settop(L, 1);
  Task *task = ml_wait_enter(L, "response");
  end_body(L, h->x);
  if (!stream) {
    plain_exchange_collect(h->x, max_body);
    return wait_for(L, task, h, PLAIN_WANTS_END, &response_wait);
  }
  for (int i = KEEPS_POOL; i <= KEEPS_URL; i++) lua_getiuservalue(L, 1, i);
  lua_remove(L, 1);
  Handle *reader = push_handle(L, READER, h->timeout);
  keep(L, 4, KEEPS_METHOD, 2);
  keep(L, 4, KEEPS_URL, 3);
  reader->x = h->x;
  reader->x->response.max_body = max_body;
  h->x = NULL;
  return wait_for(L, task, reader, PLAIN_WANTS_HEAD, &head_wait);
}

/* --- types --- */

void http_plain_stream_open(lua_State *L) {
  static const luaL_Reg reader_methods[] = {
      {"read", reader_read}, {"close", l_close}, {NULL, NULL}};
  static const luaL_Reg upload_methods[] = {
      {"write", upload_write}, {"response", upload_response}, {"close", l_close}, {NULL, NULL}};
  modules_make_class(L, READER, reader_methods, l_close, l_close);
  modules_make_class(L, UPLOAD, upload_methods, l_close, l_close);
}
