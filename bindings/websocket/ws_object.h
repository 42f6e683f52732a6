/* WebSockets as Lua objects, of a server's handlers and of clients. */
#ifndef ML_WS_OBJECT_H
#define ML_WS_OBJECT_H

#include "websocket/ws_link.h"

#include <lauxlib.h>

/* The userdata. */
typedef struct WsObject {
  WsLink *link; /* NULL: none yet */
} WsObject;

/* Pushes an object of the link, whose reference it takes over, and whose field `protocol` is the
   value at `protocol`, a text or nil. `require "moonloop.websocket"` gives the class the methods
   that are written in Lua. */
void ws_object_push(lua_State *L, WsLink *link, int protocol);

/* Reads the table at `index`: `options`, as moonloop.websocket.options has checked them, and
   `deflate`, what was agreed on, or nil. `is_server` is the caller's to set. */
void ws_object_options(lua_State *L, int index, WsOptions *options);

/* The link of the object at `index`, open or over; or NULL: it is something else. */
WsLink *ws_object_test(lua_State *L, int index);

/* Pushes the table of methods. */
void ws_object_push_methods(lua_State *L);

#endif
