/* The exchanges of moonloop.http.core: waiting for responses, reading and writing bodies in pieces.
   moonloop.http.plain has the same methods (bindings/http_plain.c describes them). */
#include "http_curl.h"
#include "modules.h"
#include <lauxlib.h>
#include <string.h>

size_t http_check_size(lua_State *L, int index) {
  lua_Number n = luaL_checknumber(L, index);
  return n < 9e15 ? (size_t)n : SIZE_MAX;
}

HttpExchange *http_exchange_push(lua_State *L, const char *type) {
  HttpExchange *e = lua_newuserdatauv(L, sizeof *e, HTTP_KEPT);
  memset(e, 0, sizeof *e);
  luaL_setmetatable(L, type);
  return e;
}

static void close_exchange(HttpExchange *e) {
  if (e->t) http_transfer_free(e->t);
  e->t = NULL;
}

/* --- errors --- */

/* nil and the error of a transfer that failed; the exchange is over. */
static int exchange_error(lua_State *L, HttpExchange *e) {
  HttpTransfer *t = e->t;
  if (t->limit == HTTP_NO_MEMORY) {
    close_exchange(e);
    return luaL_error(L, "not enough memory for the response");
  }
  const char *kind = http_transfer_error_kind(t), *code = http_transfer_error_code(t);
  const char *what = http_transfer_message(t);
  char limit[80];
  if (t->limit == HTTP_BODY_TOO_LARGE) {
    snprintf(limit, sizeof limit, "the response's body is over the limit of %zu bytes",
             t->max_body);
  } else if (t->limit == HTTP_HEADERS_TOO_LARGE) {
    snprintf(limit, sizeof limit, "the response's headers are too large");
  }
  if (t->limit) {
    kind = "http";
    code = "too_large";
    what = limit;
  }
  http_push_shown_url(L, t->url, false);
  int n = ml_error_return(L, kind, code, "%s %s: %s", t->method, lua_tostring(L, -1), what);
  close_exchange(e);
  return n;
}

/* --- waiting --- */

static void exchange_cancel(Task *task, void *op) {
  (void)task;
  close_exchange(op);
}

/* "GET https://example.com": without path and credentials, which are nobody's business. */
static void exchange_describe(const Task *task, const void *op, char *text, size_t size) {
  (void)task;
  const HttpTransfer *t = ((const HttpExchange *)op)->t;
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
           t->want == HTTP_DATA   ? "body of"
           : t->want == HTTP_ROOM ? "upload"
                                  : "request",
           t->method, scheme, t->url, (int)n, host);
}

/* Goes on with `type`'s finish when what is wanted of the exchange is there. */
static int wait_for(lua_State *L, Task *task, HttpExchange *e, HttpWant want,
                    const WaitType *type) {
  if (http_transfer_ready(e->t, want)) return type->finish(L, task, e);
  if (!http_transfer_wait(e->t, want, ml_wait_waker(task))) {
    close_exchange(e);
    return luaL_error(L, "not enough memory");
  }
  return ml_wait_suspend(L, task, type, e);
}

/* The exchange at 1, which no other task waits for. */
static HttpExchange *check_exchange(lua_State *L, const char *type) {
  HttpExchange *e = luaL_checkudata(L, 1, type);
  if (e->t && e->t->waker.task) luaL_error(L, "another task waits for this exchange");
  return e;
}

/* --- responses --- */

/* The exchange is on the top of L. */
static int response_finish(lua_State *L, Task *task, void *op) {
  (void)task;
  HttpExchange *e = op;
  HttpTransfer *t = e->t;
  if (t->ended && t->result != CURLE_OK && !(t->stream && t->head)) return exchange_error(L, e);
  int exchange = lua_gettop(L);
  lua_pushinteger(L, t->status);
  if (t->stream)
    lua_pushvalue(L, exchange);
  else
    lua_pushlstring(L, t->body.data ? t->body.data : "", t->body.len);
  lua_pushlstring(L, t->headers.data ? t->headers.data : "", t->headers.len);
  http_push_shown_url(L, t->url, false);
  if (!t->stream) close_exchange(e);
  return 4;
}

static const WaitType response_wait = {.name = "http request",
                                       .cancel = exchange_cancel,
                                       .finish = response_finish,
                                       .describe = exchange_describe};

int http_wait_response(lua_State *L, Task *task, HttpExchange *e) {
  return wait_for(L, task, e, e->t->stream ? HTTP_HEAD : HTTP_END, &response_wait);
}

static int read_finish(lua_State *L, Task *task, void *op) {
  (void)task;
  HttpExchange *e = op;
  HttpTransfer *t = e->t;
  if (t->body.len) {
    lua_pushlstring(L, t->body.data, t->body.len);
    http_transfer_taken(t);
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
static int reader_read(lua_State *L) {
  HttpExchange *e = check_exchange(L, HTTP_READER);
  Task *task = ml_wait_enter(L, "response:read");
  if (e->t) return wait_for(L, task, e, HTTP_DATA, &read_wait);
  if (!e->whole) return ml_error_return(L, "closed", NULL, "the response is closed");
  lua_pushnil(L);
  return 1;
}

static int exchange_close(lua_State *L) {
  close_exchange(lua_touserdata(L, 1));
  return 0;
}

/* reader:close() */
static int reader_close(lua_State *L) {
  close_exchange(check_exchange(L, HTTP_READER));
  return 0;
}

/* --- uploads --- */

int http_begin(lua_State *L) {
  lua_settop(L, 8);
  lua_Integer length = luaL_optinteger(L, 5, -1);
  HttpRequest request = {
      .upload = true,
      .length = length,
      .stream = true,
      .timeout = luaL_checknumber(L, 6),
      .max_body = SIZE_MAX,
      .unix_path = luaL_optstring(L, 7, NULL),
      .verify = lua_isnil(L, 8) || lua_toboolean(L, 8),
  };
  HttpExchange *e;
  int failed = http_start(L, &request, 4, HTTP_UPLOAD, &e);
  if (failed) return failed;
  e->length = length;
  return 1;
}

/* The upload at 1, not over. */
static HttpExchange *check_upload(lua_State *L) {
  HttpExchange *e = check_exchange(L, HTTP_UPLOAD);
  if (!e->t) luaL_error(L, "the upload is closed");
  return e;
}

static int write_finish(lua_State *L, Task *task, void *op) {
  (void)task;
  HttpExchange *e = op;
  if (e->t->ended && e->t->result != CURLE_OK) return exchange_error(L, e);
  lua_pushboolean(L, !http_transfer_refused(e->t));
  return 1;
}

static const WaitType write_wait = {.name = "http upload",
                                    .cancel = exchange_cancel,
                                    .finish = write_finish,
                                    .describe = exchange_describe};

/* upload:write(chunk) -> true | false | nil, err */
static int upload_write(lua_State *L) {
  HttpExchange *e = check_upload(L);
  size_t n;
  const char *bytes = luaL_checklstring(L, 2, &n);
  Task *task = ml_wait_enter(L, "upload:write");
  if (http_transfer_refused(e->t)) return write_finish(L, task, e);
  if (e->length >= 0 && e->written + (lua_Integer)n > e->length)
    return luaL_error(L, "the body is longer than its length of %I bytes", e->length);
  if (!http_transfer_write(e->t, bytes, n)) return luaL_error(L, "not enough memory");
  e->written += (lua_Integer)n;
  return wait_for(L, task, e, HTTP_ROOM, &write_wait);
}

/* upload:response(max_body, stream) -> as request */
static int upload_response(lua_State *L) {
  HttpExchange *e = check_upload(L);
  size_t max_body = http_check_size(L, 2);
  bool stream = lua_toboolean(L, 3);
  Task *task = ml_wait_enter(L, "upload:response");
  if (e->length >= 0 && e->written < e->length && !http_transfer_refused(e->t)) {
    return luaL_error(L, "the body is shorter than its length of %I bytes: %I", e->length,
                      e->written);
  }
  HttpExchange *reader = http_exchange_push(L, HTTP_READER);
  for (int i = 1; i <= HTTP_KEPT; i++) {
    lua_getiuservalue(L, 1, i);
    lua_setiuservalue(L, -2, i);
  }
  reader->t = e->t;
  e->t = NULL;
  http_transfer_finish(reader->t);
  http_transfer_limit(reader->t, max_body, stream);
  return http_wait_response(L, task, reader);
}

/* upload:close() */
static int upload_close(lua_State *L) {
  close_exchange(check_exchange(L, HTTP_UPLOAD));
  return 0;
}

/* --- types --- */

void http_stream_open(lua_State *L) {
  static const luaL_Reg reader[] = {{"read", reader_read}, {"close", reader_close}, {NULL, NULL}};
  static const luaL_Reg upload[] = {{"write", upload_write},
                                    {"response", upload_response},
                                    {"close", upload_close},
                                    {NULL, NULL}};
  modules_make_class(L, HTTP_READER, reader, exchange_close, exchange_close);
  modules_make_class(L, HTTP_UPLOAD, upload, exchange_close, exchange_close);
}
