/* rawtcp: plain TCP for the specs, to play the clients and servers that HTTP libraries refuse to
   be. Test-only: it is built beside the binary and is not installed. As a module of anybody else it
   takes Lua's and moonloop.h's symbols from the executable that loads it. Every call that waits
   suspends the task.

   Failures come back as nil and a word: "closed", "timeout", or the system's name for the error. */
#include <errno.h>
#include <lauxlib.h>
#include <moonloop.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#define CONN "rawtcp.conn"
#define LISTENER "rawtcp.listener"
#define DEFAULT_SECONDS 60 /* no spec hangs for ever on a peer that says nothing */
#define MAX_SECONDS 1e6
/* So many passes of the loop follow before a time is over: where the process stood still, they
   bring what has come meanwhile, and what its own servers answer to that. */
#define LAST_PASSES 20

typedef struct RawTcp RawTcp;

/* A socket of either kind. It is freed when libuv has closed it and the userdata is gone. */
typedef struct Socket {
  uv_tcp_t tcp;
  uv_timer_t timer;
  RawTcp *owner;
  struct Socket *next, **link; /* among the open sockets of the runtime */
  bool boxed;
  unsigned handles; /* how many of the two are not closed yet */

  /* who waits: accept on a listener, receive or connect on a connection */
  bool waiting, timed_out;
  unsigned passes; /* before the time is over */
  ml_Waker waker;
  int status; /* 0, or the libuv error that ended the waiting */

  /* a listener */
  unsigned pending; /* connections libuv has told of and nobody has accepted */
  struct Socket *accepted;

  /* a connection */
  uv_connect_t connect;
  enum { UNTIL_ANY, UNTIL_COUNT, UNTIL_EOF, UNTIL_TEXT } until;
  size_t count;
  char *text;
  char *data;
  size_t len, cap;
  size_t searched; /* of `data`: where the text does not begin */
  bool eof;
} Socket;

/* All sockets of one runtime. */
struct RawTcp {
  ml_CloseHook hook;
  ml_Runtime *rt;
  Socket *open;
};

typedef struct Writing {
  uv_write_t req;
  uv_shutdown_t shutdown;
  ml_Waker waker;
  int status;
  char data[];
} Writing;

/* --- life --- */

static void socket_free(Socket *s) {
  free(s->text);
  free(s->data);
  free(s);
}

static void on_closed(uv_handle_t *handle) {
  Socket *s = handle->data;
  s->handles--;
  if (!s->boxed && !s->handles) socket_free(s);
}

static Socket *socket_new(RawTcp *owner) {
  Socket *s = calloc(1, sizeof *s);
  if (!s) return NULL;
  uv_loop_t *loop = ml_runtime_loop(owner->rt);
  uv_tcp_init(loop, &s->tcp);
  uv_timer_init(loop, &s->timer);
  uv_unref((uv_handle_t *)&s->timer); /* what keeps the loop alive is the socket */
  s->tcp.data = s->timer.data = s;
  s->handles = 2;
  s->owner = owner;
  s->link = &owner->open;
  s->next = owner->open;
  if (s->next) s->next->link = &s->next;
  owner->open = s;
  return s;
}

/* Wakes whoever waits on the socket with `status`. */
static void socket_wake(Socket *s, int status) {
  if (!s->waiting) return;
  s->waiting = false;
  s->status = status;
  uv_timer_stop(&s->timer);
  ml_wait_wake(s->waker);
}

static void socket_close(Socket *s, bool reset) {
  if (uv_is_closing((uv_handle_t *)&s->tcp)) return;
  socket_wake(s, UV_ECANCELED);
  uv_close((uv_handle_t *)&s->timer, on_closed);
  *s->link = s->next;
  if (s->next) s->next->link = s->link;
  if (!reset || uv_tcp_close_reset(&s->tcp, on_closed)) uv_close((uv_handle_t *)&s->tcp, on_closed);
}

static void close_all(ml_CloseHook *hook, ml_Runtime *rt) {
  (void)rt;
  RawTcp *r = (RawTcp *)hook;
  while (r->open) socket_close(r->open, false);
}

static void socket_push(lua_State *L, Socket *s, const char *type) {
  Socket **box = lua_newuserdatauv(L, sizeof *box, 0);
  *box = s;
  s->boxed = true;
  luaL_setmetatable(L, type);
}

static Socket *check_socket(lua_State *L, const char *type) {
  return *(Socket **)luaL_checkudata(L, 1, type);
}

/* A socket that is still open, or an argument error. */
static Socket *check_open(lua_State *L, const char *type) {
  Socket *s = check_socket(L, type);
  luaL_argcheck(L, !uv_is_closing((uv_handle_t *)&s->tcp), 1, "it is closed");
  return s;
}

static int l_close(lua_State *L) {
  socket_close(*(Socket **)lua_touserdata(L, 1), false);
  return 0;
}

static int l_gc(lua_State *L) {
  Socket *s = *(Socket **)lua_touserdata(L, 1);
  s->boxed = false;
  if (s->handles)
    socket_close(s, false);
  else
    socket_free(s);
  return 0;
}

static int fail(lua_State *L, int status) {
  lua_pushnil(L);
  lua_pushstring(L, status == UV_EOF || status == UV_ECANCELED ? "closed" : uv_err_name(status));
  return 2;
}

static void on_time(uv_timer_t *timer) {
  Socket *s = timer->data;
  if (s->passes) {
    s->passes--;
    uv_timer_start(timer, on_time, 1, 0);
    return;
  }
  s->timed_out = true;
  socket_wake(s, UV_ETIMEDOUT);
}

static double check_seconds(lua_State *L, int index) {
  double seconds = luaL_optnumber(L, index, DEFAULT_SECONDS);
  luaL_argcheck(L, seconds >= 0 && seconds <= MAX_SECONDS, index, "seconds expected");
  return seconds;
}

/* The task is going to wait on `s`. */
static void socket_wait(Socket *s, ml_Task *t, double seconds) {
  s->waker = ml_wait_waker(t);
  s->waiting = true;
  s->timed_out = false;
  s->passes = LAST_PASSES;
  s->status = 0;
  uv_update_time(s->timer.loop);
  uv_timer_start(&s->timer, on_time, (uint64_t)(seconds * 1000), 0);
}

/* --- listeners --- */

/* Takes the connection libuv holds ready. */
static int take(Socket *s) {
  Socket *conn = socket_new(s->owner);
  if (!conn) return UV_ENOMEM;
  s->pending--;
  int status = uv_accept((uv_stream_t *)&s->tcp, (uv_stream_t *)&conn->tcp);
  if (status)
    socket_close(conn, false);
  else
    s->accepted = conn;
  return status;
}

static void on_connection(uv_stream_t *stream, int status) {
  Socket *s = (Socket *)stream;
  if (!status) s->pending++;
  if (s->waiting) socket_wake(s, status ? status : take(s));
}

static RawTcp *owner_of(lua_State *L) { return lua_touserdata(L, lua_upvalueindex(1)); }

/* Binds a listener to a Unix socket: libuv's TCP handles take any stream socket. */
static int bind_path(Socket *s, const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (strlen(path) >= sizeof address.sun_path) return UV_ENAMETOOLONG;
  strcpy(address.sun_path, path);
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address))
    return uv_translate_sys_error(errno);
  return uv_tcp_open(&s->tcp, fd);
}

/* listen([backlog [, port]]) -> listener, on 127.0.0.1; by default on a free port, which is
   `listener.port`. A text in place of the port is the path of a Unix socket. */
static int l_listen(lua_State *L) {
  int backlog = (int)luaL_optinteger(L, 1, 128);
  const char *path = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : NULL;
  int port = path ? 0 : (int)luaL_optinteger(L, 2, 0);
  Socket *s = socket_new(owner_of(L));
  if (!s) return luaL_error(L, "not enough memory");
  struct sockaddr_in address;
  uv_ip4_addr("127.0.0.1", port, &address);
  int status = path ? bind_path(s, path) : uv_tcp_bind(&s->tcp, (struct sockaddr *)&address, 0);
  if (!status) status = uv_listen((uv_stream_t *)&s->tcp, backlog, on_connection);
  socket_push(L, s, LISTENER);
  if (status) {
    socket_close(s, false);
    return fail(L, status);
  }
  uv_unref((uv_handle_t *)&s->tcp); /* only an accept that waits keeps the loop alive */
  return 1;
}

static void accept_cancel(ml_Task *t, void *op) {
  (void)t;
  Socket *s = op;
  s->waiting = false;
  uv_timer_stop(&s->timer);
  uv_unref((uv_handle_t *)&s->tcp);
}

static int accept_finish(lua_State *L, ml_Task *t, void *op) {
  (void)t;
  Socket *s = op;
  if (!uv_is_closing((uv_handle_t *)&s->tcp)) uv_unref((uv_handle_t *)&s->tcp);
  if (s->timed_out) return lua_pushnil(L), lua_pushliteral(L, "timeout"), 2;
  if (s->status) return fail(L, s->status);
  socket_push(L, s->accepted, CONN);
  s->accepted = NULL;
  return 1;
}

static const ml_WaitType accept_wait = {
    .name = "rawtcp accept", .cancel = accept_cancel, .finish = accept_finish};

/* listener:accept([seconds]) -> conn */
static int l_accept(lua_State *L) {
  Socket *s = check_open(L, LISTENER);
  double seconds = check_seconds(L, 2);
  luaL_argcheck(L, !s->waiting, 1, "another task accepts already");
  if (s->pending) {
    int status = take(s);
    s->status = status;
    s->timed_out = false;
    if (status) return fail(L, status);
    socket_push(L, s->accepted, CONN);
    s->accepted = NULL;
    return 1;
  }
  ml_Task *t = ml_wait_enter(L, "rawtcp.accept");
  socket_wait(s, t, seconds);
  uv_ref((uv_handle_t *)&s->tcp);
  return ml_wait_suspend(L, t, &accept_wait, s);
}

/* `port`, or a method. */
static int l_index(lua_State *L) {
  Socket *s = *(Socket **)lua_touserdata(L, 1);
  const char *key = luaL_checkstring(L, 2);
  if (!strcmp(key, "port") && !uv_is_closing((uv_handle_t *)&s->tcp)) {
    struct sockaddr_in address;
    int size = sizeof address;
    if (uv_tcp_getsockname(&s->tcp, (struct sockaddr *)&address, &size)) return 0;
    lua_pushinteger(L, ntohs(address.sin_port));
    return 1;
  }
  lua_getmetatable(L, 1);
  lua_getfield(L, -1, key);
  return 1;
}

/* --- connections --- */

static void on_connect(uv_connect_t *req, int status) {
  Socket *s = (Socket *)((char *)req - offsetof(Socket, connect));
  if (status != UV_ECANCELED) socket_wake(s, status);
}

static void connect_cancel(ml_Task *t, void *op) {
  (void)t;
  Socket *s = op;
  s->waiting = false;
  socket_close(s, false);
}

static int connect_finish(lua_State *L, ml_Task *t, void *op) {
  (void)t;
  Socket *s = op;
  if (!s->status) return socket_push(L, s, CONN), 1;
  bool late = s->timed_out;
  int status = s->status;
  socket_close(s, false);
  if (late) return lua_pushnil(L), lua_pushliteral(L, "timeout"), 2;
  return fail(L, status);
}

static const ml_WaitType connect_wait = {
    .name = "rawtcp connect", .cancel = connect_cancel, .finish = connect_finish};

/* Connects to a Unix socket, which takes no time. */
static int connect_path(Socket *s, const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (strlen(path) >= sizeof address.sun_path) return UV_ENAMETOOLONG;
  strcpy(address.sun_path, path);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return uv_translate_sys_error(errno);
  int status = connect(fd, (struct sockaddr *)&address, sizeof address)
                   ? uv_translate_sys_error(errno)
                   : uv_tcp_open(&s->tcp, fd);
  if (status) close(fd);
  return status;
}

static int connect_to_path(lua_State *L) {
  Socket *s = socket_new(owner_of(L));
  if (!s) return luaL_error(L, "not enough memory");
  int status = connect_path(s, lua_tostring(L, 1));
  socket_push(L, s, CONN);
  if (!status) return 1;
  socket_close(s, false);
  return fail(L, status);
}

/* connect(port [, seconds]) -> conn, to 127.0.0.1. A text in place of the port is the path of a
   Unix socket. */
static int l_connect(lua_State *L) {
  if (lua_type(L, 1) == LUA_TSTRING && !lua_isnumber(L, 1)) return connect_to_path(L);
  int port = (int)luaL_checkinteger(L, 1);
  double seconds = check_seconds(L, 2);
  ml_Task *t = ml_wait_enter(L, "rawtcp.connect");
  Socket *s = socket_new(owner_of(L));
  if (!s) return luaL_error(L, "not enough memory");
  struct sockaddr_in address;
  uv_ip4_addr("127.0.0.1", port, &address);
  int status = uv_tcp_connect(&s->connect, &s->tcp, (struct sockaddr *)&address, on_connect);
  if (status) {
    socket_close(s, false);
    return fail(L, status);
  }
  uv_tcp_nodelay(&s->tcp, 1);
  socket_wait(s, t, seconds);
  return ml_wait_suspend(L, t, &connect_wait, s);
}

static void writing_cancel(ml_Task *t, void *op) {
  (void)t;
  ((Writing *)op)->waker.task = NULL; /* libuv still owns it: its callback frees it */
}

static int writing_finish(lua_State *L, ml_Task *t, void *op) {
  (void)t;
  int status = ((Writing *)op)->status;
  free(op);
  if (status) return fail(L, status);
  return lua_pushboolean(L, true), 1;
}

static const ml_WaitType writing_wait = {
    .name = "rawtcp send", .cancel = writing_cancel, .finish = writing_finish};

static void writing_end(Writing *w, int status) {
  w->status = status;
  if (w->waker.task)
    ml_wait_wake(w->waker);
  else
    free(w);
}

static void on_written(uv_write_t *req, int status) { writing_end(req->data, status); }
static void on_shutdown(uv_shutdown_t *req, int status) { writing_end(req->data, status); }

/* conn:send(text) -> true, when all of it has been handed to the system. */
static int l_send(lua_State *L) {
  Socket *s = check_open(L, CONN);
  size_t len;
  const char *text = luaL_checklstring(L, 2, &len);
  ml_Task *t = ml_wait_enter(L, "rawtcp.send");
  Writing *w = calloc(1, sizeof *w + len);
  if (!w) return luaL_error(L, "not enough memory");
  memcpy(w->data, text, len);
  w->req.data = w;
  w->waker = ml_wait_waker(t);
  uv_buf_t buf = uv_buf_init(w->data, (unsigned)len);
  int status = uv_write(&w->req, (uv_stream_t *)&s->tcp, &buf, 1, on_written);
  if (status) {
    free(w);
    return fail(L, status);
  }
  return ml_wait_suspend(L, t, &writing_wait, w);
}

/* conn:shutdown() -> true: nothing more will be sent; what comes can still be received. */
static int l_shutdown(lua_State *L) {
  Socket *s = check_open(L, CONN);
  ml_Task *t = ml_wait_enter(L, "rawtcp.shutdown");
  Writing *w = calloc(1, sizeof *w);
  if (!w) return luaL_error(L, "not enough memory");
  w->shutdown.data = w;
  w->waker = ml_wait_waker(t);
  int status = uv_shutdown(&w->shutdown, (uv_stream_t *)&s->tcp, on_shutdown);
  if (status) {
    free(w);
    return fail(L, status);
  }
  return ml_wait_suspend(L, t, &writing_wait, w);
}

/* How many of the bytes that have come answer the receive; 0: not enough yet. */
static size_t received(Socket *s) {
  size_t n;
  char *found;
  switch (s->until) {
  case UNTIL_ANY:
    return s->len;
  case UNTIL_COUNT:
    return s->len >= s->count ? s->count : 0;
  case UNTIL_TEXT:
    n = strlen(s->text);
    found = s->len ? memmem(s->data + s->searched, s->len - s->searched, s->text, n) : NULL;
    if (found) return (size_t)(found - s->data) + n;
    s->searched = s->len >= n ? s->len - n + 1 : 0;
    return 0;
  default:
    return 0;
  }
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf) {
  Socket *s = (Socket *)handle;
  if (s->cap - s->len < suggested) {
    size_t cap = s->len + suggested > 2 * s->cap ? s->len + suggested : 2 * s->cap;
    char *data = realloc(s->data, cap);
    if (data) {
      s->data = data;
      s->cap = cap;
    }
  }
  *buf = uv_buf_init(s->data + s->len, (unsigned)(s->cap - s->len)); /* empty: UV_ENOBUFS */
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf) {
  (void)buf;
  Socket *s = (Socket *)stream;
  if (n > 0) s->len += (size_t)n;
  if (n == UV_EOF) s->eof = true;
  if (n >= 0 && !received(s)) return;
  uv_read_stop(stream);
  socket_wake(s, n < 0 ? (int)n : 0);
}

/* Pushes the first `n` bytes that have come and forgets them. */
static void push_received(lua_State *L, Socket *s, size_t n) {
  lua_pushlstring(L, s->data, n);
  s->len -= n;
  s->searched = 0;
  if (s->len) memmove(s->data, s->data + n, s->len);
}

static void receive_cancel(ml_Task *t, void *op) {
  (void)t;
  Socket *s = op;
  s->waiting = false;
  uv_timer_stop(&s->timer);
  uv_read_stop((uv_stream_t *)&s->tcp);
}

static int receive_finish(lua_State *L, ml_Task *t, void *op) {
  (void)t;
  Socket *s = op;
  if (!uv_is_closing((uv_handle_t *)&s->tcp)) uv_read_stop((uv_stream_t *)&s->tcp);
  size_t n = received(s);
  if (n || (s->until == UNTIL_EOF && s->eof)) {
    push_received(L, s, n ? n : s->len);
    return 1;
  }
  if (s->timed_out)
    lua_pushnil(L), lua_pushliteral(L, "timeout");
  else
    fail(L, s->status);
  push_received(L, s, s->len);
  return 3;
}

static const ml_WaitType receive_wait = {
    .name = "rawtcp receive", .cancel = receive_cancel, .finish = receive_finish};

/* conn:receive([what [, seconds = 60]]) -> text | nil, word, what came until then

   `what` is a number of bytes, "*a" for all until the peer closes, any other text for everything up
   to and including that text, and nil for whatever comes. */
static int l_receive(lua_State *L) {
  Socket *s = check_open(L, CONN);
  double seconds = check_seconds(L, 3);
  luaL_argcheck(L, !s->waiting, 1, "another task receives already");
  free(s->text);
  s->text = NULL;
  s->searched = 0;
  s->until = UNTIL_ANY;
  if (lua_type(L, 2) == LUA_TNUMBER) {
    s->until = UNTIL_COUNT;
    s->count = (size_t)luaL_checkinteger(L, 2);
    luaL_argcheck(L, s->count > 0, 2, "more than 0 bytes expected");
  } else if (!lua_isnoneornil(L, 2)) {
    const char *text = luaL_checkstring(L, 2);
    s->until = strcmp(text, "*a") ? UNTIL_TEXT : UNTIL_EOF;
    s->text = strdup(text);
  }
  ml_Task *t = ml_wait_enter(L, "rawtcp.receive");
  if (received(s)) return push_received(L, s, received(s)), 1;
  int status = uv_read_start((uv_stream_t *)&s->tcp, on_alloc, on_read);
  if (status) return fail(L, status);
  socket_wait(s, t, seconds);
  return ml_wait_suspend(L, t, &receive_wait, s);
}

/* conn:reset(): closes with a RST. */
static int l_reset(lua_State *L) {
  socket_close(check_socket(L, CONN), true);
  return 0;
}

static const luaL_Reg conn_methods[] = {
    {"send", l_send},   {"receive", l_receive}, {"shutdown", l_shutdown}, {"close", l_close},
    {"reset", l_reset}, {"__gc", l_gc},         {"__close", l_close},     {NULL, NULL}};
static const luaL_Reg listener_methods[] = {
    {"accept", l_accept}, {"close", l_close}, {"__gc", l_gc}, {"__close", l_close}, {NULL, NULL}};

static void make_type(lua_State *L, const char *name, const luaL_Reg *methods) {
  luaL_newmetatable(L, name);
  luaL_setfuncs(L, methods, 0);
  lua_pushcfunction(L, l_index);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
}

__attribute__((visibility("default"))) int luaopen_rawtcp(lua_State *L);

int luaopen_rawtcp(lua_State *L) {
  make_type(L, CONN, conn_methods);
  make_type(L, LISTENER, listener_methods);
  /* The module's functions keep `r` as an upvalue; the registry keeps it until the state closes. */
  RawTcp *r = lua_newuserdatauv(L, sizeof *r, 0);
  memset(r, 0, sizeof *r);
  r->rt = ml_runtime_of(L);
  r->hook.close = close_all;
  ml_runtime_on_close(r->rt, &r->hook);
  lua_rawsetp(L, LUA_REGISTRYINDEX, r);
  lua_newtable(L);
  lua_pushlightuserdata(L, r);
  lua_pushcclosure(L, l_listen, 1);
  lua_setfield(L, -2, "listen");
  lua_pushlightuserdata(L, r);
  lua_pushcclosure(L, l_connect, 1);
  lua_setfield(L, -2, "connect");
  return 1;
}
