/* What the files of moonloop.http.core share. */
#ifndef ML_CLIENT_H
#define ML_CLIENT_H

#include "core/error.h"
#include "http/client/client_exchange.h"

/* The size in bytes at `index`; SIZE_MAX if infinite. */
size_t client_check_size(lua_State *L, int index);

/* Splits the URL at `index` into request->url and, if it has a user and password,
   request->credentials. Replaces the string at `index` by request->shown, the form for messages,
   into which both point. May push values that they need. Returns 0, or the number of results to
   return for a bad URL. */
int client_check_url(lua_State *L, int index, ClientRequest *request);

/* Pushes a URL as messages, and so logs, show it (redact.h); returns the text. */
const char *client_push_shown(lua_State *L, const char *url, size_t n);

/* The pool at `index`, or an argument error. */
ClientPool *client_check_pool(lua_State *L, int index);

/* Starts an exchange. May raise a memory error. */
ClientExchange *client_send(lua_State *L, ClientPool *pool, const ClientRequest *request,
                            size_t max_body, bool by_pieces);

/* The same with the URL at `url`, which is replaced by its form for messages. Returns 0, or the
   number of results to return. */
int client_start(lua_State *L, ClientPool *pool, int url, ClientRequest *request, double timeout,
                 size_t max_body, bool by_pieces, ClientExchange **x);

/* The same with the pool, method, URL and header lines at 1 to 4, and the Unix socket or nil at
   `unix_path`, with `verify`, the addresses and the proxy after it. */
int client_start_arguments(lua_State *L, ClientRequest *request, int unix_path, double timeout,
                           size_t max_body, bool by_pieces, ClientExchange **x);

/* Is the body of an exchange that is over decoded? False: the others are to have their turn
   (wait_give_way) before it goes on. */
bool client_is_decoded(lua_State *L, ClientExchange *x);

/* Pushes the results of an exchange that is over, including the URL at `url`, or nil and the error.
   Releases the exchange. */
int client_push_response(lua_State *L, ClientExchange *x, int url);

/* Frees the exchange client->delivering, after its results were pushed or Lua ran out of memory. */
void client_drop_undelivered(ClientPools *client);

/* Pushes what the server calls the request if the exchange went through a pipe in memory; nothing
   for a socket. Returns how many values it has pushed. */
int client_push_in_memory(lua_State *L, const ClientExchange *x);

/* Pushes nil and the error of a failed exchange, and client_push_in_memory's value. */
int client_push_error(lua_State *L, const ClientExchange *x);

/* "http WHAT GET http://host" */
void client_describe(const ClientExchange *x, const char *what, char *text, size_t size);

/* For the WaitType of a task that waits for a whole response; `op` is the exchange. */
void client_cancel(Task *task, void *op);
void client_describe_request(const Task *task, const void *op, char *text, size_t size);

/* request(...) with a body that is read in pieces; begin(...) */
int client_stream(lua_State *L, ClientRequest *request, double timeout, size_t max_body);
int client_begin(lua_State *L);

/* Makes the types of readers and uploads. */
void client_stream_open(lua_State *L);

/* Puts `headers` and `date` (client_fields.c) into the module on the top of L. */
void client_fields_open(lua_State *L);

/* Puts `bare` and `sender` (client_bare.c) into the module on the top of L. */
void client_bare_open(lua_State *L);

#endif
