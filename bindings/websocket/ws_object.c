#include "bindings/websocket/ws_object.h"

#include "bindings/check.h"
#include "bindings/class.h"
#include "bindings/fields.h"
#include "core/script_place.h"
#include "core/task.h"
#include "core/wait.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#define CLASS "moonloop.websocket"

static const char tag;
static const char methods_key; /* of the registry */

WsLink *ws_object_test(lua_State *L, int index) {
  if (class_tag_of(L, index) != &tag) return NULL;
  return ((WsObject *)lua_touserdata(L, index))->link;
}

static WsLink *check(lua_State *L) {
  WsLink *link = ws_object_test(L, 1);
  if (!link) check_self_fail(L, CLASS);
  return link;
}

static void describe(const WsLink *link, char *text, size_t size) {
  ByteStreamPeer peer = {0};
  char host[INET6_ADDRSTRLEN] = "?";
  if (!ws_link_is_over(link)) byte_stream_peer(link->bytes, &peer);
  if (peer.any.sa_family == AF_INET) {
    inet_ntop(AF_INET, &peer.v4.sin_addr, host, sizeof host);
    snprintf(text, size, "the WebSocket with %s:%u", host, ntohs(peer.v4.sin_port));
  } else if (peer.any.sa_family == AF_INET6) {
    inet_ntop(AF_INET6, &peer.v6.sin6_addr, host, sizeof host);
    snprintf(text, size, "the WebSocket with [%s]:%u", host, ntohs(peer.v6.sin6_port));
  } else {
    snprintf(text, size, "the WebSocket");
  }
}

static int closed(lua_State *L, const WsLink *link, const char *what) {
  const char *reason = link->reason ? link->reason : "";
  if (link->code)
    ml_error_return(L, "closed", NULL, "%s the WebSocket: it is closed%s%.*s", what,
                    link->reason_len ? ": " : "", (int)link->reason_len, reason);
  else
    ml_error_return(L, "closed", NULL, "%s the WebSocket: it was closed here", what);
  if (link->code) {
    lua_pushinteger(L, link->code);
    lua_setfield(L, -2, "code");
  }
  lua_pushlstring(L, reason, link->reason_len);
  lua_setfield(L, -2, "reason");
  return 2;
}

/* --- receiving --- */

/* The receiver is told of the end. */
static int told(lua_State *L, WsLink *link) {
  ws_link_was_told(link);
  return closed(L, link, "receiving from");
}

static int receive_finish(lua_State *L, Task *t, void *op);

static void receive_cancel(Task *t, void *op) {
  (void)t;
  ws_link_receive_ends(op);
}

/* The message stays for the next. */
static bool receive_revoke(Task *t, void *op) {
  (void)t;
  ws_link_receive_ends(op);
  return true;
}

static void receive_describe(const Task *t, const void *op, char *text, size_t size) {
  char name[128];
  (void)t;
  describe(op, name, sizeof name);
  snprintf(text, size, "a message from %s", name);
}

static const WaitType receive_wait = {.name = "a message of a WebSocket",
                                      .cancel = receive_cancel,
                                      .finish = receive_finish,
                                      .describe = receive_describe,
                                      .revoke = receive_revoke};

/* A mistake: two tasks would get messages of each other's. */
static int two_receivers(lua_State *L, const WsLink *link) {
  char task[200];
  Text text = text_in(task, sizeof task);
  task_describe(link->receiver, &text);
  return script_place_error(L, "ws:receive: %s is already receiving from this WebSocket", task);
}

static int suspend(lua_State *L, WsLink *link) {
  if (link->receiver) return two_receivers(L, link);
  Task *t = ml_wait_enter(L, "ws:receive");
  link->receiver = t;
  ws_link_receive_begins(link, ml_wait_waker(t));
  return ml_wait_suspend(L, t, &receive_wait, link);
}

static int push_message(lua_State *L, WsLink *link, const WsView *view) {
  lua_pushlstring(L, view->bytes, view->len);
  if (view->is_text)
    lua_pushliteral(L, "text");
  else
    lua_pushliteral(L, "binary");
  ws_link_received(link);
  return 2;
}

static int receive_finish(lua_State *L, Task *t, void *op) {
  WsLink *link = op;
  WsView view;
  (void)t;
  ws_link_receive_ends(link);
  if (ws_link_peek(link, &view)) return push_message(L, link, &view);
  if (ws_link_has_ended(link)) return told(L, link);
  return suspend(L, link);
}

/* receive() -> message, "text"|"binary" | nil, err. Suspends until there is one. `err` has the kind
   "closed", the `code` and the `reason`. */
static int l_receive(lua_State *L) {
  WsLink *link = check(L);
  WsView view;
  const Task *t = task_current(L);
  if (link->receiver) return two_receivers(L, link);
  link->reader = t ? t->id : 0;
  if (ws_link_peek(link, &view)) {
    uint32_t cost = wait_cost(view.len);
    return wait_spared(L, push_message(L, link, &view), cost);
  }
  if (ws_link_has_ended(link)) return told(L, link);
  return suspend(L, link);
}

/* messages(): for message, kind in ws:messages() do ... end, until the end. */
static int l_messages(lua_State *L) {
  check(L);
  lua_settop(L, 1);
  lua_pushcfunction(L, l_receive);
  lua_insert(L, 1);
  return 2;
}

/* --- sending --- */

static void line_cancel(Task *t, void *op) { ws_link_wait_leaves(op, t); }

static bool line_revoke(Task *t, void *op) {
  (void)t;
  ws_link_wait_ends(op);
  return true;
}

static int send_failed(lua_State *L, const WsLink *link, int error) {
  if (error == UV_EPIPE) return closed(L, link, "sending to");
  return ml_error_return(L, "limit", uv_err_name(error), "sending to the WebSocket: %s",
                         uv_strerror(error));
}

static int send_finish(lua_State *L, Task *t, void *op) {
  WsLink *link = op;
  (void)t;
  ws_link_wait_ends(link);
  if (ws_link_was_lost(link)) return closed(L, link, "sending to");
  lua_settop(L, 1);
  return 1;
}

static void send_describe(const Task *t, const void *op, char *text, size_t size) {
  char name[128];
  (void)t;
  describe(op, name, sizeof name);
  snprintf(text, size, "room to send to %s", name);
}

static const WaitType send_wait = {.name = "room to send to a WebSocket",
                                   .cancel = line_cancel,
                                   .finish = send_finish,
                                   .describe = send_describe,
                                   .revoke = line_revoke};

/* The message is queued in any case, and whole; then its sender waits while much is queued. */
static int send_message(lua_State *L, bool is_text, const char *function) {
  WsLink *link = check(L);
  size_t n;
  if (lua_type(L, 2) != LUA_TSTRING) check_string(L, 2);
  const char *bytes = lua_tolstring(L, 2, &n);
  if (is_text && !utf8_is_ascii(bytes, n))
    check_true(L, utf8_is_well_formed(bytes, n), 2, "a text that is not UTF-8: use send_binary");
  if (ws_link_is_open(link)) ml_wait_check_cancel(L);
  int error = ws_link_send(link, is_text, bytes, n);
  if (error) return send_failed(L, link, error);
  if (ws_link_is_behind(link)) {
    Task *t = ml_wait_enter(L, function);
    ws_link_wait_begins(link, t);
    return ml_wait_suspend(L, t, &send_wait, link);
  }
  lua_settop(L, 1);
  return wait_spared(L, 1, wait_cost(n));
}

/* send(text) -> ws | nil, err: a message of text, which is UTF-8. Suspends while the peer is
 * behind.
 */
static int l_send(lua_State *L) { return send_message(L, true, "ws:send"); }

/* send_binary(bytes) -> ws | nil, err */
static int l_send_binary(lua_State *L) { return send_message(L, false, "ws:send_binary"); }

/* ping() -> ws | nil, err: sends a ping, and does not wait for its answer. */
static int l_ping(lua_State *L) {
  WsLink *link = check(L);
  int error = ws_link_ping(link);
  if (error) return send_failed(L, link, error);
  lua_settop(L, 1);
  return 1;
}

/* --- the end --- */

static int close_finish(lua_State *L, Task *t, void *op);

static void close_describe(const Task *t, const void *op, char *text, size_t size) {
  char name[128];
  (void)t;
  describe(op, name, sizeof name);
  snprintf(text, size, "the end of %s", name);
}

static const WaitType close_wait = {.name = "the end of a WebSocket",
                                    .cancel = line_cancel,
                                    .finish = close_finish,
                                    .describe = close_describe,
                                    .revoke = line_revoke};

/* Waits until the peer has answered, or cannot do so any more. */
static int wait_for_end(lua_State *L, WsLink *link) {
  if (link->phase >= WS_ANSWERING) return 0;
  Task *t = ml_wait_enter(L, "ws:close");
  ws_link_wait_begins(link, t);
  return ml_wait_suspend(L, t, &close_wait, link);
}

/* There is room for senders, which stand in the same line, or it is the end. */
static int close_finish(lua_State *L, Task *t, void *op) {
  (void)t;
  ws_link_wait_ends(op);
  return wait_for_end(L, op);
}

/* close([code [, reason]]): sends a Close frame (1000) and waits for the peer's, for close_timeout
   at most. Again, or after the end: nothing. */
static int l_close(lua_State *L) {
  WsLink *link = check(L);
  size_t n = 0;
  lua_Integer code = check_opt_integer(L, 2, WS_CODE_NORMAL);
  const char *reason = lua_isnoneornil(L, 3) ? "" : check_string(L, 3);
  if (*reason || !lua_isnoneornil(L, 3)) reason = lua_tolstring(L, 3, &n);
  check_true(L, code > 0 && code < 5000 && ws_frame_code_is_valid((unsigned)code), 2,
             "not the code of a Close frame: 1000 to 1014 without 1004, 1005 and 1006, or 3000 to "
             "4999");
  check_true(L, n <= WS_CONTROL_MAX - 2, 3, "a reason has at most 123 bytes");
  check_true(L, utf8_is_well_formed(reason, n), 3, "a reason that is not UTF-8");
  if (!ws_link_is_open(link)) return 0;
  ws_link_close(link, (unsigned)code, reason, n);
  return wait_is_possible(L) ? wait_for_end(L, link) : 0;
}

/* Leaving its block: says so, and does not wait. */
static int l_leave(lua_State *L) {
  WsLink *link = ws_object_test(L, 1);
  if (link) ws_link_close(link, lua_isnoneornil(L, 2) ? WS_CODE_NORMAL : WS_CODE_INTERNAL, "", 0);
  return 0;
}

static int l_gc(lua_State *L) {
  WsObject *object = lua_touserdata(L, 1);
  WsLink *link = object->link;
  object->link = NULL;
  if (!link) return 0;
  if (ws_link_is_open(link)) {
#ifdef ML_DEBUG
    char name[128];
    describe(link, name, sizeof name);
    lua_warning(L, name, 1);
    lua_warning(L, " was not closed before it was collected", 0);
#endif
    ws_link_close(link, WS_CODE_GOING_AWAY, "", 0);
  }
  ws_link_drop(link);
  return 0;
}

static int l_tostring(lua_State *L) {
  const WsLink *link = ws_object_test(L, 1);
  char name[128] = "a WebSocket";
  if (link) describe(link, name, sizeof name);
  lua_pushfstring(L, "%s%s", name, link && !ws_link_is_open(link) ? " (closed)" : "");
  return 1;
}

/* --- the class --- */

void ws_object_push_methods(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"receive", l_receive}, {"messages", l_messages},       {"send", l_send}, {"close", l_close},
      {"ping", l_ping},       {"send_binary", l_send_binary}, {NULL, NULL}};
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &methods_key) == LUA_TTABLE) return;
  lua_pop(L, 1);
  luaL_newlib(L, methods);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &methods_key);
}

/* Makes the metatable `name`. That of objects with a protocol has it beside the methods: a call of
   a method stays one look-up. */
static void make_class(lua_State *L, const char *name, const char *protocol) {
  static const luaL_Reg meta[] = {
      {"__gc", l_gc}, {"__close", l_leave}, {"__tostring", l_tostring}, {NULL, NULL}};
  luaL_newmetatable(L, name);
  luaL_setfuncs(L, meta, 0);
  lua_pushliteral(L, CLASS);
  lua_setfield(L, -2, "__name");
  ws_object_push_methods(L);
  if (protocol) {
    lua_createtable(L, 0, 1);
    lua_pushstring(L, protocol);
    lua_setfield(L, -2, "protocol");
    lua_createtable(L, 0, 1);
    lua_pushvalue(L, -3);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, -2);
    lua_replace(L, -2);
  }
  lua_setfield(L, -2, "__index");
  class_set_tag(L, name, &tag);
}

void ws_object_push(lua_State *L, WsLink *link, int protocol) {
  const char *name = CLASS, *of = lua_tostring(L, protocol);
  protocol = lua_absindex(L, protocol);
  WsObject *object = lua_newuserdatauv(L, sizeof *object, 0);
  object->link = NULL;
  if (of) name = lua_pushfstring(L, CLASS ":%s", of);
  if (luaL_getmetatable(L, name) == LUA_TNIL) {
    lua_pop(L, 1);
    make_class(L, name, of);
  }
  object->link = link;
  lua_setmetatable(L, of ? -3 : -2);
  if (of) lua_pop(L, 1);
}

void ws_object_options(lua_State *L, int index, WsOptions *options) {
  index = lua_absindex(L, index);
  int top = lua_gettop(L);
  lua_getfield(L, index, "options");
  double most = fields_number(L, top + 1, "max_message", WS_MAX_MESSAGE);
  *options =
      (WsOptions){.max_message = most < (double)(SIZE_MAX / 4) ? (size_t)most : SIZE_MAX / 4,
                  .ping = fields_number(L, top + 1, "ping", WS_PING_SECONDS),
                  .close_timeout = fields_number(L, top + 1, "close_timeout", WS_CLOSE_SECONDS)};
  if (lua_getfield(L, index, "deflate") == LUA_TTABLE)
    options->deflate =
        (WsDeflate){.min = (uint32_t)fields_number(L, top + 2, "min", WS_DEFLATE_MIN),
                    .window = (uint8_t)fields_number(L, top + 2, "window", WS_DEFLATE_WINDOW),
                    .peer_window = (uint8_t)fields_number(L, top + 2, "peer_window", 15),
                    .takeover = fields_flag(L, top + 2, "takeover", false),
                    .peer_takeover = fields_flag(L, top + 2, "peer_takeover", false)};
  lua_settop(L, top);
}
