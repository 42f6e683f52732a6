/* What the files of moonloop.http.plain share. */
#ifndef ML_BINDINGS_HTTP_PLAIN_H
#define ML_BINDINGS_HTTP_PLAIN_H

#include "error.h"
#include "http_plain_exchange.h"

/* The size in bytes at `index`, maybe infinite: SIZE_MAX. */
size_t http_plain_check_size(lua_State *L, int index);

/* Takes the URL at `index` apart, into request->url and, where it has a user and password,
   request->credentials; the string at `index` becomes what is shown of it, request->shown, which
   both point into. May push what they need. Returns 0, or what is to be returned for a bad one. */
int http_plain_check_url(lua_State *L, int index, PlainRequest *request);

/* The pool at `index`, or an argument error. */
PlainPool *http_plain_check_pool(lua_State *L, int index);

/* Starts an exchange; may raise a memory error. */
PlainExchange *http_plain_send(lua_State *L, PlainPool *pool, const PlainRequest *request,
                               size_t max_body, bool by_pieces);

/* The same with the URL at `url`, which is replaced by what is shown of it. Returns 0, or
   the number of results that are to be returned. */
int http_plain_start(lua_State *L, PlainPool *pool, int url, PlainRequest *request, double timeout,
                     size_t max_body, bool by_pieces, PlainExchange **x);

/* The same with the pool, method, URL and header lines at 1 to 4, and the Unix socket or nil at
   `unix_path`. */
int http_plain_start_arguments(lua_State *L, PlainRequest *request, int unix_path, double timeout,
                               size_t max_body, bool by_pieces, PlainExchange **x);

/* Pushes the results of an exchange that is over, the URL at `url` among them, or nil and the
   error; releases it. */
int http_plain_push_response(lua_State *L, PlainExchange *x, int url);

/* Frees the exchange that is client->delivering: its results are pushed, or Lua had no memory for
   them. */
void http_plain_drop_undelivered(PlainClient *client);

/* nil and the error of an exchange that has failed. */
int http_plain_push_error(lua_State *L, const PlainExchange *x);

/* "http WHAT GET http://host" */
void http_plain_describe(const PlainExchange *x, const char *what, char *text, size_t size);

/* Of the WaitType of a task that waits for a whole response; `op` is the exchange. */
void http_plain_cancel(Task *task, void *op);
void http_plain_describe_request(const Task *task, const void *op, char *text, size_t size);

/* request(...) whose body is read bit by bit; begin(...) */
int http_plain_stream(lua_State *L, PlainRequest *request, double timeout, size_t max_body);
int http_plain_begin(lua_State *L);

/* Makes the types of readers and uploads. */
void http_plain_stream_open(lua_State *L);

/* Puts `bare` and `sender` (http_plain_bare.c) into the module on the top of L. */
void http_plain_bare_open(lua_State *L);

#endif
