/* moonloop.websocket.core: what the Lua parts of ml.ws and of the server's WebSockets need. */
#include "bindings/check.h"
#include "bindings/fields.h"
#include "bindings/stream/stream_object.h"
#include "bindings/websocket/open.h"
#include "bindings/websocket/ws_object.h"
#include "websocket/ws_accept.h"
#include "websocket/ws_client.h"

#include <sodium.h>
#include <string.h>

/* The table {window =, takeover =, min =} at `index`. */
static WsDeflate check_wish(lua_State *L, int index) {
  check_type(L, index, LUA_TTABLE);
  return (WsDeflate){.window = (uint8_t)fields_number(L, index, "window", WS_DEFLATE_WINDOW),
                     .takeover = fields_flag(L, index, "takeover", false),
                     .min = (uint32_t)fields_number(L, index, "min", WS_DEFLATE_MIN)};
}

/* Pushes what was agreed on, for ws_object_options. */
static void push_agreed(lua_State *L, const WsDeflate *agreed) {
  lua_createtable(L, 0, 5);
  fields_set_integer(L, "min", agreed->min);
  fields_set_integer(L, "window", agreed->window);
  fields_set_integer(L, "peer_window", agreed->peer_window);
  fields_set_flag(L, "takeover", agreed->takeover);
  fields_set_flag(L, "peer_takeover", agreed->peer_takeover);
}

/* accept_key(key) -> text: the server's answer to Sec-WebSocket-Key */
static int l_accept_key(lua_State *L) {
  char text[WS_ACCEPT_SIZE];
  size_t n;
  check_string(L, 1);
  const char *key = lua_tolstring(L, 1, &n);
  ws_accept(text, key, n);
  lua_pushstring(L, text);
  return 1;
}

/* new_key() -> text: a client's Sec-WebSocket-Key */
static int l_new_key(lua_State *L) {
  unsigned char bytes[16];
  char text[sodium_base64_ENCODED_LEN(sizeof bytes, sodium_base64_VARIANT_ORIGINAL)];
  if (sodium_init() < 0) return luaL_error(L, "no random numbers");
  randombytes_buf(bytes, sizeof bytes);
  sodium_bin2base64(text, sizeof text, bytes, sizeof bytes, sodium_base64_VARIANT_ORIGINAL);
  lua_pushstring(L, text);
  return 1;
}

/* accept_deflate(offers, {window =, takeover =, min =}) -> answer, agreed | nil: the server's
   answer to Sec-WebSocket-Extensions, which may be nil. */
static int l_accept_deflate(lua_State *L) {
  WsDeflate wish = check_wish(L, 2), agreed;
  char answer[WS_DEFLATE_TEXT];
  size_t n;
  if (lua_isnil(L, 1)) return 0;
  check_string(L, 1);
  const char *offers = lua_tolstring(L, 1, &n);
  if (!ws_deflate_accept(offers, n, &wish, answer, &agreed)) return 0;
  lua_pushstring(L, answer);
  push_agreed(L, &agreed);
  return 2;
}

/* offer_deflate({window =, takeover =, min =}) -> text: a client's Sec-WebSocket-Extensions */
static int l_offer_deflate(lua_State *L) {
  WsDeflate wish = check_wish(L, 1);
  char offer[WS_DEFLATE_TEXT];
  ws_deflate_offer(&wish, offer);
  lua_pushstring(L, offer);
  return 1;
}

/* agree_deflate(answer, {window =, takeover =, min =}) -> agreed | nil: what a server has answered
 */
static int l_agree_deflate(lua_State *L) {
  size_t n;
  check_string(L, 1);
  const char *answer = lua_tolstring(L, 1, &n);
  WsDeflate wish = check_wish(L, 2), agreed;
  if (!ws_deflate_agree(answer, n, &wish, &agreed)) return 0;
  push_agreed(L, &agreed);
  return 1;
}

/* open(connection, {options =, deflate =, protocol =}) -> ws: the connection of ml.net, on which
   the handshake is over, belongs to the WebSocket from now on. */
static int l_open(lua_State *L) {
  Stream *s = stream_object_test(L, 1);
  StreamSocket *socket = s ? stream_socket_of(s) : NULL;
  if (!socket) check_type_fail(L, 1, "connection");
  check_type(L, 2, LUA_TTABLE);
  WsOptions options;
  ws_object_options(L, 2, &options);
  lua_getfield(L, 2, "protocol");
  ((StreamObject *)lua_touserdata(L, 1))->stream = NULL;
  WsLink *link = ws_client_new(socket, &options);
  if (!link) return luaL_error(L, "not enough memory for a WebSocket");
  ws_object_push(L, link, -1);
  return 1;
}

/* say_close(ws, code, reason): as ws:close, without waiting for the peer */
static int l_say_close(lua_State *L) {
  WsLink *link = ws_object_test(L, 1);
  size_t n;
  if (!link) check_type_fail(L, 1, "WebSocket");
  unsigned code = (unsigned)check_integer(L, 2);
  check_string(L, 3);
  const char *reason = lua_tolstring(L, 3, &n);
  ws_link_close(link, code, reason, n);
  return 0;
}

/* methods() -> table: of the class, to which the Lua part adds some */
static int l_methods(lua_State *L) {
  ws_object_push_methods(L);
  return 1;
}

int luaopen_moonloop_websocket_core(lua_State *L) {
  static const luaL_Reg functions[] = {{"accept_key", l_accept_key},
                                       {"new_key", l_new_key},
                                       {"accept_deflate", l_accept_deflate},
                                       {"offer_deflate", l_offer_deflate},
                                       {"agree_deflate", l_agree_deflate},
                                       {"open", l_open},
                                       {"say_close", l_say_close},
                                       {"methods", l_methods},
                                       {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
