/* What the files of moonloop.http.core share. */
#ifndef ML_HTTP_CURL_H
#define ML_HTTP_CURL_H

#include "error.h"
#include "http_transfer.h"

#define HTTP_POOL "moonloop.http.pool"
#define HTTP_READER "moonloop.http.reader"
#define HTTP_UPLOAD "moonloop.http.upload"

/* An exchange as a userdata of one of the last two types. Its user values keep what the transfer
   needs of Lua: the pool, method, URL and body. */
typedef struct HttpExchange {
  HttpTransfer *t;     /* NULL: over, or closed */
  bool whole;          /* over: the response has been read to its end */
  lua_Integer length;  /* of the body of an upload in bytes; below 0: unknown */
  lua_Integer written; /* bytes of it */
} HttpExchange;
#define HTTP_KEPT 4

/* Pushes an exchange of the type that has no transfer yet. */
HttpExchange *http_exchange_push(lua_State *L, const char *type);

/* Pushes `url` without its user and password. Of a URL that curl cannot take apart, the password
   may hold anything: then all up to the last '@' goes. */
void http_push_shown_url(lua_State *L, const char *url, bool malformed);

/* The size in bytes at `index`, maybe infinite. */
size_t http_check_size(lua_State *L, int index);

/* Starts `request` with the pool, method and URL at 1 to 3 and the header lines at `lines`, and
   pushes its exchange. Returns 0, or the number of results of a failure that is to be returned. */
int http_start(lua_State *L, HttpRequest *request, int lines, const char *type,
               HttpExchange **exchange);

/* Waits for the response of the exchange on the top of L, or its head where it is streamed, and
   returns it as `request` does. */
int http_wait_response(lua_State *L, Task *task, HttpExchange *exchange);

/* begin(...) -> upload | nil, err */
int http_begin(lua_State *L);

/* Makes the metatables. */
void http_stream_open(lua_State *L);

#endif
