/* Bodies of moonloop.http.core in pieces: uploads and readers (described in client.c). */
#include "bindings/class.h"
#include "bindings/http/client.h"
#include "core/wait.h"
#include <lauxlib.h>
#include <string.h>

#define READER "moonloop.http.core.reader"
#define UPLOAD "moonloop.http.core.upload"
#define MAX_PIECE (64 * 1024) /* most bytes of one read */

/* A reader or an upload. Its user values keep the Lua values that its exchange needs. */
enum { KEEPS_POOL = 1, KEEPS_METHOD, KEEPS_URL, KEEPS_BODY };
typedef struct Handle {
  ClientExchange *x; /* NULL: closed, or over */
  double timeout;    /* seconds of each wait */
  bool whole;        /* the end of the body was read */
} Handle;

static void handle_close(Handle *h) {
  if (h->x) client_exchange_release(h->x);
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

/* Makes the handle at `index` keep a value alive, which may be nil. */
static void keep(lua_State *L, int index, int what, int value) {
  lua_pushvalue(L, value);
  lua_setiuservalue(L, index, what);
}

/* Starts an exchange for the handle on the top of L; see client_start_arguments. */
static int start(lua_State *L, Handle *h, ClientRequest *request, int unix_path, size_t max_body) {
  int top = lua_gettop(L);
  int failed = client_start_arguments(L, request, unix_path, h->timeout, max_body, true, &h->x);
  if (failed) return failed;
  keep(L, top, KEEPS_METHOD, 2);
  keep(L, top, KEEPS_URL, 3);
  if (request->body) keep(L, top, KEEPS_BODY, 5);
  lua_settop(L, top);
  return 0;
}

/* The handle at 1. Raises if another task waits for it. */
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

/* Waits for what is wanted of the exchange, then continues with `type->finish`. */
static int wait_for(lua_State *L, Task *task, Handle *h, ClientWant want, const WaitType *type) {
  if (client_exchange_has(h->x, want)) return type->finish(L, task, h);
  if (!client_exchange_wait(h->x, want, ml_wait_waker(task), h->timeout)) {
    handle_close(h);
    return luaL_error(L, "not enough memory");
  }
  return ml_wait_suspend(L, task, type, h);
}

static void describe_request(const Task *task, const void *op, char *text, size_t size) {
  (void)task;
  client_describe(((const Handle *)op)->x, "request", text, size);
}

/* --- readers --- */

/* The head has come, or the exchange has failed. The reader is on the top of L. */
static int head_finish(lua_State *L, Task *task, void *op) {
  (void)task;
  Handle *h = op;
  ClientExchange *x = h->x;
  int reader = lua_gettop(L);
  if (x->error_kind && !x->response.head_read) {
    int n = client_push_error(L, x);
    handle_close(h);
    return n;
  }
  lua_pushinteger(L, x->response.status);
  lua_pushvalue(L, reader);
  lua_pushlstring(L, x->response.head.data ? x->response.head.data : "", x->response.head.len);
  lua_getiuservalue(L, reader, KEEPS_URL);
  return 4 + client_push_in_memory(L, x);
}

static const WaitType head_wait = {.name = "http request",
                                   .cancel = wait_cancel,
                                   .finish = head_finish,
                                   .describe = describe_request};

int client_stream(lua_State *L, ClientRequest *request, double timeout, size_t max_body) {
  Task *task = ml_wait_enter(L, "ml.http");
  Handle *h = push_handle(L, READER, timeout);
  int failed = start(L, h, request, 9, max_body);
  if (failed) return failed;
  return wait_for(L, task, h, CLIENT_WANTS_HEAD, &head_wait);
}

static void describe_read(const Task *task, const void *op, char *text, size_t size) {
  (void)task;
  client_describe(((const Handle *)op)->x, "body of", text, size);
}

static int read_finish(lua_State *L, Task *task, void *op);
static const WaitType read_wait = {
    .name = "http body", .cancel = wait_cancel, .finish = read_finish, .describe = describe_read};

/* What has come before the exchange failed. False: nothing is left. */
static bool take_rest(ClientExchange *x, Buffer *piece) {
  return client_response_waiting(&x->response) &&
         client_response_take(&x->response, piece, MAX_PIECE) && piece->len;
}

static int read_finish(lua_State *L, Task *task, void *op) {
  Handle *h = op;
  ClientExchange *x = h->x;
  Buffer *piece = &x->client->piece;
  piece->len = 0;
  bool is_taken = x->error_kind ? take_rest(x, piece) : client_exchange_take(x, piece, MAX_PIECE);
  if (!is_taken) return client_push_error(L, x);
  if (piece->len) {
    lua_pushlstring(L, piece->data, piece->len);
    return wait_spared(L, 1, wait_cost(piece->len));
  }
  if (!x->over || client_response_waiting(&x->response)) { /* its decoder has no output yet */
    ml_wait_check_cancel(L);
    return wait_for(L, task, h, CLIENT_WANTS_PIECE, &read_wait);
  }
  handle_close(h);
  h->whole = true;
  lua_pushnil(L);
  return 1;
}

/* reader:read() -> piece | nil | nil, err: the next piece of the body, never empty; nil at its end.
   Suspends until there is one. */
static int l_reader_read(lua_State *L) {
  Handle *h = check_handle(L, READER);
  lua_settop(L, 1);
  if (h->whole) return lua_pushnil(L), 1;
  if (!h->x) return ml_error_return(L, "closed", NULL, "the response's body is closed");
  Task *task = ml_wait_enter(L, "read");
  return wait_for(L, task, h, CLIENT_WANTS_PIECE, &read_wait);
}

/* --- uploads --- */

/* There is a connection, or the attempt has failed. The upload is on the top of L. */
static int begin_finish(lua_State *L, Task *task, void *op) {
  (void)task;
  Handle *h = op;
  if (!h->x->error_kind) return 1;
  int n = client_push_error(L, h->x);
  handle_close(h);
  return n;
}

static const WaitType begin_wait = {.name = "http request",
                                    .cancel = wait_cancel,
                                    .finish = begin_finish,
                                    .describe = describe_request};

int client_begin(lua_State *L) {
  lua_settop(L, 12);
  ClientRequest request = {.framing = CLIENT_BODY_CHUNKED};
  if (!lua_isnil(L, 5)) {
    lua_Number length = luaL_checknumber(L, 5);
    luaL_argcheck(L, length >= 0 && length < 9e15, 5, "a length in bytes expected");
    request.framing = CLIENT_BODY_LENGTH;
    request.body_len = (size_t)length;
  }
  double timeout = luaL_checknumber(L, 6);
  Task *task = ml_wait_enter(L, "ml.http");
  Handle *h = push_handle(L, UPLOAD, timeout);
  int failed = start(L, h, &request, 7, SIZE_MAX);
  if (failed) return failed;
  return wait_for(L, task, h, CLIENT_WANTS_CONNECTION, &begin_wait);
}

/* The upload at 1. Raises if it is over. */
static Handle *check_upload(lua_State *L) {
  Handle *h = check_handle(L, UPLOAD);
  if (!h->x) luaL_error(L, "the upload is over");
  return h;
}

static int write_finish(lua_State *L, Task *task, void *op) {
  (void)task;
  const ClientExchange *x = ((Handle *)op)->x;
  if (x->error_kind) return client_push_error(L, x);
  lua_pushboolean(L, client_exchange_wants_body(x));
  return 1;
}

static void describe_upload(const Task *task, const void *op, char *text, size_t size) {
  (void)task;
  client_describe(((const Handle *)op)->x, "upload of", text, size);
}

static const WaitType write_wait = {.name = "http upload",
                                    .cancel = wait_cancel,
                                    .finish = write_finish,
                                    .describe = describe_upload};

/* upload:write(piece) -> true | false | nil, err: suspends until there is room for more; false if
   the response has begun and the rest of the body is not wanted. */
static int l_upload_write(lua_State *L) {
  Handle *h = check_upload(L);
  ClientExchange *x = h->x;
  size_t n;
  const char *bytes = luaL_checklstring(L, 2, &n);
  if (x->request.framing == CLIENT_BODY_LENGTH && n > x->request.body_len - x->written)
    return luaL_error(L, "the body is longer than its length of %I bytes",
                      (lua_Integer)x->request.body_len);
  Task *task = ml_wait_enter(L, "write");
  if (!client_exchange_wants_body(x)) return write_finish(L, task, h);
  if (!client_exchange_write(x, bytes, n)) return luaL_error(L, "not enough memory");
  if (client_exchange_has(x, CLIENT_WANTS_ROOM))
    return wait_spared(L, write_finish(L, task, h), wait_cost(n));
  return wait_for(L, task, h, CLIENT_WANTS_ROOM, &write_wait);
}

static const WaitType response_wait;

/* The whole response has arrived. */
static int response_finish(lua_State *L, Task *task, void *op) {
  (void)task;
  Handle *h = op;
  ClientExchange *x = h->x;
  if (!client_is_decoded(L, x)) return wait_give_way(L, &response_wait, h);
  lua_getiuservalue(L, 1, KEEPS_URL);
  h->x = NULL;
  return client_push_response(L, x, lua_gettop(L));
}

static const WaitType response_wait = {.name = "http request",
                                       .cancel = wait_cancel,
                                       .finish = response_finish,
                                       .describe = describe_request};

/* Ends the body if it is still wanted. */
static void end_body(lua_State *L, ClientExchange *x) {
  if (!client_exchange_wants_body(x)) return;
  if (x->request.framing == CLIENT_BODY_LENGTH && x->written < x->request.body_len)
    luaL_error(L, "the body is shorter than its length of %I bytes: %I",
               (lua_Integer)x->request.body_len, (lua_Integer)x->written);
  if (!client_exchange_end_body(x)) luaL_error(L, "not enough memory");
}

/* upload:response(max_body, stream) -> as `request`: ends the body and waits for the whole
   response, or with `stream` for its head. */
static int l_upload_response(lua_State *L) {
  Handle *h = check_upload(L);
  size_t max_body = client_check_size(L, 2);
  bool stream = lua_toboolean(L, 3);
  lua_settop(L, 1);
  Task *task = ml_wait_enter(L, "response");
  end_body(L, h->x);
  if (!stream) {
    client_exchange_collect(h->x, max_body);
    return wait_for(L, task, h, CLIENT_WANTS_END, &response_wait);
  }
  for (int i = KEEPS_POOL; i <= KEEPS_URL; i++) lua_getiuservalue(L, 1, i);
  lua_remove(L, 1);
  Handle *reader = push_handle(L, READER, h->timeout);
  keep(L, 4, KEEPS_METHOD, 2);
  keep(L, 4, KEEPS_URL, 3);
  reader->x = h->x;
  reader->x->response.max_body = max_body;
  h->x = NULL;
  return wait_for(L, task, reader, CLIENT_WANTS_HEAD, &head_wait);
}

/* --- types --- */

void client_stream_open(lua_State *L) {
  static const luaL_Reg reader_methods[] = {
      {"read", l_reader_read}, {"close", l_close}, {NULL, NULL}};
  static const luaL_Reg upload_methods[] = {
      {"write", l_upload_write}, {"response", l_upload_response}, {"close", l_close}, {NULL, NULL}};
  class_make(L, READER, reader_methods, l_close, l_close);
  class_make(L, UPLOAD, upload_methods, l_close, l_close);
}
