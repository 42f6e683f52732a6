/* What the files of moonloop.http.curl share. */
#ifndef ML_CURL_H
#define ML_CURL_H

#include "core/error.h"
#include "http/client/curl_transfer.h"

#define CURL_POOL "moonloop.http.curl.pool"
#define CURL_READER "moonloop.http.curl.reader"
#define CURL_UPLOAD "moonloop.http.curl.upload"

/* An exchange, a userdata of one of the last two types. Its user values keep the Lua values that
   the transfer needs: the pool, method, URL and body. */
typedef struct CurlExchange {
  CurlTransfer *t;     /* NULL: over, or closed */
  bool whole;          /* over: the response has been read to its end */
  lua_Integer length;  /* length of an upload's body in bytes; below 0: unknown */
  lua_Integer written; /* bytes of it so far */
} CurlExchange;
#define HTTP_KEPT 4

/* Pushes a new exchange of the type, without a transfer. */
CurlExchange *curl_exchange_push(lua_State *L, const char *type);

/* Pushes `url` without its user and password. If curl cannot parse it, the password may contain
   anything, so all up to the last '@' is removed. */
void curl_push_shown_url(lua_State *L, const char *url, bool malformed);

/* The size in bytes at `index`, which may be infinite. */
size_t curl_check_size(lua_State *L, int index);

/* Starts `request` with the pool, method and URL at 1 to 3 and the header lines at `lines`, and
   pushes its exchange. Returns 0, or the number of results to return for a failure. */
int curl_start(lua_State *L, CurlRequest *request, int lines, const char *type,
               CurlExchange **exchange);

/* Waits for the response of the exchange on the top of L, or for its head if it is streamed, and
   returns it as `request` does. */
int curl_wait_response(lua_State *L, Task *task, CurlExchange *exchange);

/* begin(...) -> upload | nil, err */
int curl_begin(lua_State *L);

/* Makes the metatables. */
void curl_stream_open(lua_State *L);

#endif
