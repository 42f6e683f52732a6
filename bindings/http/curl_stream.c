/* The exchanges of moonloop.http.curl: waiting for responses, reading and writing bodies in pieces.
   moonloop.http.core has the same methods (bindings/http/client.c describes them). */
#include "bindings/class.h"
#include "bindings/http/curl.h"
#include <lauxlib.h>
#include <string.h>

size_t curl_check_size(lua_State *L, int index) {
  lua_Number n = luaL_checknumber(L, index);
  return n < 9e15 ? (size_t)n : SIZE_MAX;
}

CurlExchange *curl_exchange_push(lua_State *L, const char *type) {
  CurlExchange *e = lua_newuserdatauv(L, sizeof *e, HTTP_KEPT);
  memset(e, 0, sizeof *e);
  luaL_setmetatable(L, type);
  return e;
}

static void close_exchange(CurlExchange *e) {
  if (e->t) curl_transfer_free(e->t);
  e->t = NULL;
}

/* --- errors --- */

/* Pushes nil and the error of a failed transfer; the exchange is over. */
static int exchange_error(lua_State *L, CurlExchange *e) {
  CurlTransfer *t = e->t;
  if (t->limit == CURL_NO_MEMORY) {
    close_exchange(e);
    return luaL_error(L, "not enough memory for the response");
  }
  const char *kind = curl_transfer_error_kind(t), *code = curl_transfer_error_code(t);
  const char *what = curl_transfer_message(t);
  char limit[80];
  if (t->limit == CURL_BODY_TOO_LARGE) {
    snprintf(limit, sizeof limit, "the response's body is over the limit of %zu bytes",
             t->max_body);
  } else if (t->limit == CURL_HEADERS_TOO_LARGE) {
    snprintf(limit, sizeof limit, "the response's headers are too large");
  }
  if (t->limit) {
    kind = "http";
    code = "too_large";
    what = limit;
  }
  curl_push_shown_url(L, t->url, false);
  int n = ml_error_return(L, kind, code, "%s %s: %s", t->method, lua_tostring(L, -1), what);
  close_exchange(e);
  return n;
}

/* --- waiting --- */

static void exchange_cancel(Task *task, void *op) {
  (void)task;
  close_exchange(op);
}

/* "GET https://example.com": without path and credentials, which are private. */
static void exchange_describe(const Task *task, const void *op, char *text, size_t size) {
  (void)task;
  const CurlTransfer *t = ((const CurlExchange *)op)->t;
  const char *host = strstr(t->url, "://");
  int scheme = host ? (int)(host + 3 - t->url) : 0;
  host = t->url + scheme;
  size_t n = strcspn(host, "/?#");
  const char *at = memrchr(host, '@', n);
  if (at) {
    n -= (size_t)(at + 1 - host);
    host = at + 1;
  }
  snprintf(text, size, "http %s %s %.*s%.*s",
           t->want == CURL_WANTS_DATA   ? "body of"
           : t->want == CURL_WANTS_ROOM ? "upload"
                                        : "request",
           t->method, scheme, t->url, (int)n, host);
}

/* Waits for what is wanted of the exchange, then continues with `type`'s finish. */
static int wait_for(lua_State *L, Task *task, CurlExchange *e, CurlWant want,
                    const WaitType *type) {
  if (curl_transfer_ready(e->t, want)) return type->finish(L, task, e);
  if (!curl_transfer_wait(e->t, want, ml_wait_waker(task))) {
    close_exchange(e);
    return luaL_error(L, "not enough memory");
  }
  return ml_wait_suspend(L, task, type, e);
}

/* The exchange at 1. Raises if another task waits for it. */
static CurlExchange *check_exchange(lua_State *L, const char *type) {
  CurlExchange *e = luaL_checkudata(L, 1, type);
  if (e->t && e->t->waker.task) luaL_error(L, "another task waits for this exchange");
  return e;
}

/* --- responses --- */

/* The exchange is on the top of L. */
static int response_finish(lua_State *L, Task *task, void *op) {
  (void)task;
  CurlExchange *e = op;
  CurlTransfer *t = e->t;
  if (t->ended && t->result != CURLE_OK && !(t->stream && t->head)) return exchange_error(L, e);
  int exchange = lua_gettop(L);
  lua_pushinteger(L, t->status);
  if (t->stream)
    lua_pushvalue(L, exchange);
  else
    lua_pushlstring(L, t->body.data ? t->body.data : "", t->body.len);
  lua_pushlstring(L, t->headers.data ? t->headers.data : "", t->headers.len);
  curl_push_shown_url(L, t->url, false);
  if (!t->stream) close_exchange(e);
  return 4;
}

static const WaitType response_wait = {.name = "http request",
                                       .cancel = exchange_cancel,
                                       .finish = response_finish,
                                       .describe = exchange_describe};

int curl_wait_response(lua_State *L, Task *task, CurlExchange *e) {
  return wait_for(L, task, e, e->t->stream ? CURL_WANTS_HEAD : CURL_WANTS_END, &response_wait);
}

static int read_finish(lua_State *L, Task *task, void *op) {
  (void)task;
  CurlExchange *e = op;
  CurlTransfer *t = e->t;
  if (t->body.len) {
    lua_pushlstring(L, t->body.data, t->body.len);
    curl_transfer_taken(t);
    return 1;
  }
  if (t->result != CURLE_OK) return exchange_error(L, e);
  close_exchange(e);
  e->whole = true;
  lua_pushnil(L);
  return 1;
}

static const WaitType read_wait = {.name = "http body",
                                   .cancel = exchange_cancel,
                                   .finish = read_finish,
                                   .describe = exchange_describe};

/* reader:read() -> chunk | nil | nil, err */
static int l_reader_read(lua_State *L) {
  CurlExchange *e = check_exchange(L, CURL_READER);
  Task *task = ml_wait_enter(L, "response:read");
  if (e->t) return wait_for(L, task, e, CURL_WANTS_DATA, &read_wait);
  if (!e->whole) return ml_error_return(L, "closed", NULL, "the response is closed");
  lua_pushnil(L);
  return 1;
}

static int l_exchange_close(lua_State *L) {
  close_exchange(lua_touserdata(L, 1));
  return 0;
}

/* reader:close() */
static int l_reader_close(lua_State *L) {
  close_exchange(check_exchange(L, CURL_READER));
  return 0;
}

/* --- uploads --- */

int curl_begin(lua_State *L) {
  lua_settop(L, 8);
  lua_Integer length = luaL_optinteger(L, 5, -1);
  CurlRequest request = {
      .upload = true,
      .length = length,
      .stream = true,
      .timeout = luaL_checknumber(L, 6),
      .max_body = SIZE_MAX,
      .unix_path = luaL_optstring(L, 7, NULL),
      .verify = lua_isnil(L, 8) || lua_toboolean(L, 8),
  };
  CurlExchange *e;
  int failed = curl_start(L, &request, 4, CURL_UPLOAD, &e);
  if (failed) return failed;
  e->length = length;
  return 1;
}

/* The upload at 1. Raises if it is over. */
static CurlExchange *check_upload(lua_State *L) {
  CurlExchange *e = check_exchange(L, CURL_UPLOAD);
  if (!e->t) luaL_error(L, "the upload is closed");
  return e;
}

static int write_finish(lua_State *L, Task *task, void *op) {
  (void)task;
  CurlExchange *e = op;
  if (e->t->ended && e->t->result != CURLE_OK) return exchange_error(L, e);
  lua_pushboolean(L, !curl_transfer_refused(e->t));
  return 1;
}

static const WaitType write_wait = {.name = "http upload",
                                    .cancel = exchange_cancel,
                                    .finish = write_finish,
                                    .describe = exchange_describe};

/* upload:write(chunk) -> true | false | nil, err */
static int l_upload_write(lua_State *L) {
  CurlExchange *e = check_upload(L);
  size_t n;
  const char *bytes = luaL_checklstring(L, 2, &n);
  Task *task = ml_wait_enter(L, "upload:write");
  if (curl_transfer_refused(e->t)) return write_finish(L, task, e);
  if (e->length >= 0 && e->written + (lua_Integer)n > e->length)
    return luaL_error(L, "the body is longer than its length of %I bytes", e->length);
  if (!curl_transfer_write(e->t, bytes, n)) return luaL_error(L, "not enough memory");
  e->written += (lua_Integer)n;
  return wait_for(L, task, e, CURL_WANTS_ROOM, &write_wait);
}

/* upload:response(max_body, stream) -> as request */
static int l_upload_response(lua_State *L) {
  CurlExchange *e = check_upload(L);
  size_t max_body = curl_check_size(L, 2);
  bool stream = lua_toboolean(L, 3);
  Task *task = ml_wait_enter(L, "upload:response");
  if (e->length >= 0 && e->written < e->length && !curl_transfer_refused(e->t)) {
    return luaL_error(L, "the body is shorter than its length of %I bytes: %I", e->length,
                      e->written);
  }
  CurlExchange *reader = curl_exchange_push(L, CURL_READER);
  for (int i = 1; i <= HTTP_KEPT; i++) {
    lua_getiuservalue(L, 1, i);
    lua_setiuservalue(L, -2, i);
  }
  reader->t = e->t;
  e->t = NULL;
  curl_transfer_finish(reader->t);
  curl_transfer_limit(reader->t, max_body, stream);
  return curl_wait_response(L, task, reader);
}

/* upload:close() */
static int l_upload_close(lua_State *L) {
  close_exchange(check_exchange(L, CURL_UPLOAD));
  return 0;
}

/* --- types --- */

void curl_stream_open(lua_State *L) {
  static const luaL_Reg reader[] = {
      {"read", l_reader_read}, {"close", l_reader_close}, {NULL, NULL}};
  static const luaL_Reg upload[] = {{"write", l_upload_write},
                                    {"response", l_upload_response},
                                    {"close", l_upload_close},
                                    {NULL, NULL}};
  class_make(L, CURL_READER, reader, l_exchange_close, l_exchange_close);
  class_make(L, CURL_UPLOAD, upload, l_exchange_close, l_exchange_close);
}
