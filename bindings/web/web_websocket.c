/* WebSockets of the server: a connection whose response was a 101 carries a link (ws_link.h), and
   the task of its handler goes on with the link's object. */
#include "bindings/web/web.h"
#include "bindings/websocket/ws_object.h"
#include "core/error.h"
#include "core/task.h"
#include "http/server/http_buffered.h"
#include "http/server/http_upgrade.h"
#include "websocket/ws_link.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

/* A connection's; it is there until the connection is freed. */
typedef struct WebSocket {
  HttpUpgrade upgrade;
  WsLink *link;            /* NULL: it has not begun, or there was no memory */
  struct Opening *opening; /* while the 101 waits to be written; or NULL */
} WebSocket;

/* The wait for that: a userdata on the stack of the handler's task. Its user value is the table of
   the response. */
typedef struct Opening {
  WsOptions options;
  WebSocket *socket;
  WsLink *link; /* for the object; NULL: the socket was not opened */
  Waker handler;
} Opening;

static WebSocket *socket_of(HttpUpgrade *u) { return container_of(u, WebSocket, upgrade); }

/* --- the link's carrier --- */

static void on_released(WsLink *link, bool reset) {
  WebSocket *socket = link->owner;
  http_upgrade_end(&socket->upgrade, reset);
}

static void on_told(WsLink *link) {
  WebSocket *socket = link->owner;
  if (socket) http_upgrade_look(&socket->upgrade);
}

static bool on_keeps(WsLink *link, ptrdiff_t more) {
  const WebSocket *socket = link->owner;
  HttpConnection *c = socket ? socket->upgrade.connection : NULL;
  if (!c || http_connection_is_closing(c)) return true; /* counted no more */
  return http_buffered_hold(c, more);
}

static const WsCarrier carrier = {.released = on_released, .told = on_told, .keeps = on_keeps};

/* --- the connection's upgrade --- */

/* The 101 is written, or will not be. */
static void opened(WebSocket *socket) {
  if (!socket->opening) return;
  ml_wait_wake(socket->opening->handler);
  socket->opening = NULL;
}

static void on_begun(HttpUpgrade *u) {
  WebSocket *socket = socket_of(u);
  HttpConnection *c = u->connection;
  Opening *opening = socket->opening;
  socket->link = ws_link_new(c->server->rt, &c->bytes, &carrier, socket, &opening->options);
  opening->link = socket->link;
  opened(socket);
  if (!socket->link) http_upgrade_end(u, true); /* memory is out */
}

static uv_buf_t on_room(HttpUpgrade *u) { return ws_link_room(socket_of(u)->link); }

static void on_came(HttpUpgrade *u, char *bytes, size_t n) {
  ws_link_came(socket_of(u)->link, bytes, n);
}

static void on_ended(HttpUpgrade *u, int status) { ws_link_ended(socket_of(u)->link, status); }

static void on_written(HttpUpgrade *u, int status) { ws_link_written(socket_of(u)->link, status); }

static void on_retire(HttpUpgrade *u, bool is_replaced) {
  ws_link_retire(socket_of(u)->link, is_replaced ? WS_CODE_RESTART : WS_CODE_GOING_AWAY);
}

static void on_handled(HttpUpgrade *u, bool failed) {
  ws_link_close(socket_of(u)->link, failed ? WS_CODE_INTERNAL : WS_CODE_NORMAL, "", 0);
}

/* A handler that has asked its socket knows of the end. One that is busy with what it has received
   will ask, unless nobody is there any more who could hear of the result. */
static HttpUpgradeFate on_fate(HttpUpgrade *u) {
  const WsLink *link = socket_of(u)->link;
  uint64_t handler = u->connection->task->id;
  if (!link) return UPGRADE_HANDLER_IS_CANCELLED;
  bool is_told = link->reader_told, reads = link->reader == handler;
  if (reads && is_told) return UPGRADE_HANDLER_STAYS;
  if (ws_link_was_lost(link)) return UPGRADE_HANDLER_IS_CANCELLED;
  if (link->reader && !is_told) return UPGRADE_HANDLER_HAS_TIME;
  return UPGRADE_HANDLER_IS_CANCELLED;
}

static void on_cut(HttpUpgrade *u) {
  WebSocket *socket = socket_of(u);
  opened(socket);
  if (socket->link) ws_link_cut(socket->link);
}

static void on_left(HttpUpgrade *u) {
  WebSocket *socket = socket_of(u);
  opened(socket);
  if (socket->link) {
    socket->link->owner = NULL; /* its object may be there yet */
    ws_link_drop(socket->link);
  }
  free(socket);
}

static const HttpUpgradeUser user = {.begun = on_begun,
                                     .room = on_room,
                                     .came = on_came,
                                     .ended = on_ended,
                                     .written = on_written,
                                     .retire = on_retire,
                                     .handled = on_handled,
                                     .fate = on_fate,
                                     .cut = on_cut,
                                     .left = on_left};

/* --- the handler --- */

/* The stack of its task. The object stays there even if the handler drops it. */
enum { AT_SOCKET = 1, AT_FUNCTION, AT_RESULT = AT_FUNCTION, AT_ERROR };

/* It has returned: nil and an error is a failure, unless that is the end of the socket. */
static int handler_returned(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  (void)ctx;
  if (!lua_isnil(L, AT_RESULT) || lua_isnil(L, AT_ERROR)) return 0;
  if (error_is(L, AT_ERROR)) {
    lua_pushliteral(L, "kind");
    lua_rawget(L, AT_ERROR);
    const char *kind = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "";
    if (!strcmp(kind, "closed")) return 0;
    lua_pop(L, 1);
  }
  return lua_error(L);
}

/* The client has gone, or the handler is cancelled for another reason: a 101 may be on its way, so
   that nothing else can be sent. */
static void opening_cancel(Task *t, void *op) {
  (void)t;
  Opening *opening = op;
  WebSocket *socket = opening->socket;
  socket->opening = NULL;
  http_connection_close(socket->upgrade.connection, false);
}

static int opening_finish(lua_State *L, Task *t, void *op) {
  (void)t;
  Opening *opening = op;
  if (!opening->link) { /* the connection was closed */
    ml_wait_check_cancel(L);
    return 0;
  }
  lua_getiuservalue(L, -1, 1);
  lua_getfield(L, -1, "protocol");
  ws_object_push(L, opening->link, -1);
  lua_pushvalue(L, -5); /* the function, below the userdata */
  lua_replace(L, AT_FUNCTION);
  lua_replace(L, AT_SOCKET);
  lua_settop(L, AT_FUNCTION); /* what the handshake has left is not kept while the socket is open */
  lua_pushvalue(L, AT_SOCKET);
  lua_callk(L, 1, 2, 0, handler_returned);
  return handler_returned(L, LUA_OK, 0);
}

static const WaitType opening_wait = {
    .name = "the handshake of a WebSocket", .cancel = opening_cancel, .finish = opening_finish};

void *web_websocket_prepare(lua_State *L, int index) {
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  lua_getfield(L, index, "_upgrade");
  Opening *opening = lua_newuserdatauv(L, sizeof *opening, 1);
  *opening = (Opening){0};
  lua_getfield(L, index, "_socket");
  ws_object_options(L, -1, &opening->options);
  opening->options.is_server = true;
  lua_setiuservalue(L, -2, 1);
  return opening;
}

int web_websocket_open(lua_State *L, HttpConnection *c, void *prepared) {
  Opening *opening = prepared;
  Task *t = ml_wait_enter(L, "the handshake of a WebSocket");
  WebSocket *socket = calloc(1, sizeof *socket);
  if (!socket) return luaL_error(L, "not enough memory");
  socket->upgrade.user = &user;
  socket->opening = opening;
  opening->socket = socket;
  opening->handler = ml_wait_waker(t);
  http_upgrade_expect(&socket->upgrade, c);
  return ml_wait_suspend(L, t, &opening_wait, opening);
}
