/* What the files of the request object share. */
#ifndef ML_WEB_REQUEST_H
#define ML_WEB_REQUEST_H

#include "web.h"

/* The object owns a copy of the request's head. */
typedef struct WebRequest {
  uint64_t number;
  HttpPeer peer;
  HttpSpan path, query, headers; /* in `head` */
  uint16_t allowed;              /* RouteMatch.allowed */
  uint8_t method;
  bool path_escaped;
  char head[];
} WebRequest;

/* User values of the userdata: made when first asked for; FIELDS is what scripts set. */
enum {
  VALUE_BODY = WEB_REQUEST_BODY,
  VALUE_PARAMS,
  VALUE_QUERY,
  VALUE_HEADERS,
  VALUE_CLIENT,
  VALUE_FIELDS,
  VALUES = VALUE_FIELDS
};

/* Pushes the table of the parameters of the connection's current request, whose route has some. */
void web_request_push_params(lua_State *L, const HttpConnection *c);

/* Push what is made of the head when it is first asked for: `path` decoded, `query` as a table,
   `headers` as a table, `client` as {host = "127.0.0.1", port = 54321}. */
void web_request_push_path(lua_State *L, const WebRequest *req);
void web_request_push_query(lua_State *L, const WebRequest *req);
void web_request_push_headers(lua_State *L, const WebRequest *req);
void web_request_push_client(lua_State *L, const WebRequest *req);

/* Set the metatable of such a table, which is on the top. */
void web_request_set_headers_metatable(lua_State *L);
void web_request_set_client_metatable(lua_State *L);

/* Lets request objects cross to executors (web_request_transfer.c). */
void web_request_transfer_open(lua_State *L);

#endif
