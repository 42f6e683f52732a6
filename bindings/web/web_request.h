/* Shared by the files of the request object. */
#ifndef ML_WEB_REQUEST_H
#define ML_WEB_REQUEST_H

#include "bindings/web/web.h"

/* The object owns a copy of the request's head. */
typedef struct WebRequest {
  uint64_t number;
  uint64_t max_values; /* the server's limit */
  ByteStreamPeer client;
  HttpSpan path, query, headers; /* in `head` */
  HttpSpan client_name;    /* instead of an address (http_forwarded.h); len 0: there is none */
  HttpSpan forwarded_host; /* the same for the host */
  uint16_t forwarded_port;
  uint16_t root_len; /* bytes of the server's root path, at the end of `head` */
  uint32_t root_at;
  uint16_t allowed; /* RouteMatch.allowed */
  uint8_t method;
  bool path_escaped;
  bool is_https;
  char head[];
} WebRequest;

/* User values of the userdata: made when first asked for; FIELDS is what scripts set, VALID what a
   route with schemas has checked. */
enum {
  VALUE_BODY = WEB_REQUEST_BODY,
  VALUE_PARAMS,
  VALUE_QUERY,
  VALUE_HEADERS,
  VALUE_CLIENT,
  VALUE_FIELDS,
  VALUE_VALID,
  VALUES = VALUE_VALID
};

/* Pushes the table of the parameters of the connection's current request; its route has some. */
void web_request_push_params(lua_State *L, const HttpConnection *c);

/* Push what is made of the head when it is first asked for: `target` as it was sent, `path`
   decoded, `query` as a table and as text, `headers` as a table, `client` as {host = "127.0.0.1",
   port = 54321}; `host` of the target or the Host header, or nil; `url` with scheme and host;
   `root_path` or "". A trusted proxy decides about client, scheme and host. */
void web_request_push_target(lua_State *L, const WebRequest *req);
void web_request_push_path(lua_State *L, const WebRequest *req);
void web_request_push_query(lua_State *L, const WebRequest *req);
void web_request_push_query_string(lua_State *L, const WebRequest *req);
void web_request_push_headers(lua_State *L, const WebRequest *req);
void web_request_push_client(lua_State *L, const WebRequest *req);
void web_request_push_host(lua_State *L, const WebRequest *req);
void web_request_push_url(lua_State *L, const WebRequest *req);
void web_request_push_scheme(lua_State *L, const WebRequest *req);
void web_request_push_root_path(lua_State *L, const WebRequest *req);

/* Pushes the text in lower case. */
void web_request_push_lower(lua_State *L, const char *text, size_t n);

/* Pushes the text, with U+FFFD for invalid UTF-8. */
void web_request_push_utf8(lua_State *L, const char *text, size_t n);

/* The index of the upvalue of a request's __index that holds the class of queries, for
   web_request_push_query. */
enum { WEB_REQUEST_QUERY_CLASS = 3 };

/* Makes and pushes that class. */
void web_request_push_query_class(lua_State *L);

/* Turns the table of values on the top into the query table of `query`, which is not decoded. */
void web_request_set_query_class(lua_State *L, const char *query, size_t n);

/* Set the metatable of a table of headers, or of a client, which is on the top. */
void web_request_set_headers_metatable(lua_State *L);
void web_request_set_client_metatable(lua_State *L);

/* Lets request objects cross to executors (web_request_transfer.c). */
void web_request_transfer_open(lua_State *L);

#endif
