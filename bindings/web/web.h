/* What the files of moonloop.web.core share. */
#ifndef ML_WEB_H
#define ML_WEB_H

#include "http/server/http_server.h"
#include "json/json.h"
#include <lua.h>

#define WEB_HEADERS "moonloop.web.core.response_headers"
#define WEB_REQUEST "moonloop.web.core.request"
#define WEB_RESPONSE "moonloop.web.core.response"
#define WEB_ROUTER "moonloop.web.core.router"
#define WEB_SERVER "moonloop.web.core.server"

/* The fields of a response that the host reads: see scripts/moonloop/web/response.lua. */
typedef enum WebField {
  WEB_FIELD_STATUS,
  WEB_FIELD_CHECKED,
  WEB_FIELD_TEXT,
  WEB_FIELD_VALUE,
  WEB_FIELD_BODY,
  WEB_FIELD_JSON,
  WEB_FIELD_STREAM,
  WEB_FIELD_FILE,
  WEB_FIELD_HEADERS,
  WEB_FIELD_OWN_HEADERS,
  WEB_FIELD_UPGRADE,
  WEB_FIELDS
} WebField;

/* One per Lua state, in the registry. */
typedef struct Web {
  CloseHook on_close;
  struct WebServer *servers;      /* those that are not over */
  int request_metatable;          /* registry references */
  int response_class;             /* the metatable of responses */
  const void *response_metatable; /* its address */
  int fields[WEB_FIELDS];         /* their names: cheaper to take from here than to make again */
  int on_file;          /* registry reference: the function that makes a response from a file */
  int on_failed_stream; /* the same for a response whose stream failed before anything was sent */
  int on_tail;          /* the function that does what follows a response */
  uint64_t id_seed[2], id_count; /* the number of request ids made */
  Buffer body;                   /* scratch: a JSON body */
  Buffer lines;                  /* scratch: header lines */
} Web;

/* Creates the metatable of requests and lets them cross to executors. */
void web_request_open(lua_State *L);

/* Creates the metatable of response headers; sets `headers` in the module on the top of L. */
void web_headers_open(lua_State *L);

/* Replaces the table of headers on the top by a copy if it is one that middleware changes in place.
 */
void web_headers_copy(lua_State *L);

/* Adds the functions for chains of middleware to the module on the top of L (web_chain.c). */
void web_chain_open(lua_State *L, Web *web);

/* Adds the functions for requests that are checked by schemas to the module on the top of L, and
   the one for responses (web_valid.c, web_encode.c). */
void web_valid_open(lua_State *L);
void web_encode_open(lua_State *L, Web *web);

/* Is the handler at `index` such a chain? */
bool web_chain_is_link(lua_State *L, int index);

/* Replaces the chain on the top by the function that renders its handler's errors, and pushes the
   handler's name. */
void web_chain_push_renderer(lua_State *L);

/* After a failed protected call: does the error on the top, which replaces a cancel that its
   clean-up met, end the task? Then the caller must raise it again. */
bool web_chain_is_broken_off(lua_State *L);

/* The error at `index` (absolute) was caught: pushes its traceback, or nil. */
void web_chain_push_caught(lua_State *L, int index);

/* Is the value at `index` a response object? */
bool web_is_response(lua_State *L, const Web *web, int index);

/* Pushes a field of the response at `index` (absolute), past its class; returns its type. */
int web_get_field(lua_State *L, const Web *web, int index, WebField field);

/* The router of the object at `index`, or an argument error. */
const HttpRouter *web_check_router(lua_State *L, int index);

/* HttpServer.handle, HttpServer.tail and HttpServer.failed. */
int web_handle(lua_State *L);
int web_tail(lua_State *L);
void web_handler_failed(HttpConnection *c, const Task *t, lua_State *L, const char *traceback);

/* The connection of the request that the running task works for: its handler or a task that was
   started for it; or NULL (web_tail.c). */
HttpConnection *web_tail_connection(lua_State *L);

/* Sets `tail` and `on_tail` in the module on the top of L (web_tail.c). */
void web_tail_open(lua_State *L, Web *web);

/* Creates the metatable of servers; sets `listen` and `limit` in the module on the top of L. */
void web_server_open(lua_State *L, Web *web);

/* Keeps the error at `index`, which a request's handler or middleware raised, for the test client
   that sent the request, with a text that says where. False: it has to be reported. An error that
   is meant as the answer needs neither. Pushes nothing. */
bool web_server_keep_failure(lua_State *L, const HttpConnection *c, int index, const char *place,
                             const char *traceback, bool is_answer);

/* The close hook of Web: ends its servers at once. */
void web_close_servers(CloseHook *hook, Runtime *rt);

/* Raises what is wrong with the table of response headers at `index`. `streamed`: it may include
   the body's length. */
void web_check_headers(lua_State *L, Web *web, int index, bool streamed);

/* Writes method and path of the request object at `index` for messages. False if there is no
   request. */
bool web_request_title(lua_State *L, int index, char *text, size_t size);

/* allowed(req) -> "GET, HEAD" | nil: the methods for which its path has routes */
int web_request_allowed(lua_State *L);

/* on_session(req [, f]) -> the function before it, the session: f makes req.session when it is read
 */
int web_request_on_session(lua_State *L);

/* Pushes the request object for the connection's current request, with its own copy of
   everything. */
void web_request_push(lua_State *L, const Web *web, HttpConnection *c);

/* Pushes a table of the checked lines "Name: value\r\n": names in lower case, which are found in
   any case; values of one name are joined (RFC 9110 section 5.3). */
void web_header_lines_push(lua_State *L, const char *lines, size_t n);

/* Writes the response for what a handler returned: the values of L from `first` on. Raises what is
   wrong with them before anything is written. May suspend, and calls Lua, so it must be the last
   act of a C function, which returns what this returns. `first` is 2 for the response of a chain,
   whose request is at 1; otherwise the values begin at 1. */
int web_respond(lua_State *L, Web *web, HttpConnection *c, int first);

/* Writes the response for the error value at `index`, with its own status, headers and detail, and
   returns the status; 0 if it has none, since neither abort nor a bad request made it. */
int web_respond_error(lua_State *L, Web *web, HttpConnection *c, int index);

/* Raise what is wrong with the status, or with the first result, at `index`, which `who` ("the
   handler of GET /users") returned. Do not return. */
int web_raise_bad_status(lua_State *L, const char *who, int index);
int web_raise_bad_body(lua_State *L, const char *who, int index);

/* Pushes the error object that makes web_respond_error answer with the status and {"detail":
   detail}. */
void web_push_abort(lua_State *L, int status, const char *detail);

/* --- the body of a request (web_body.c) --- */

/* The number of the user value of a request object that holds its body. */
enum { WEB_REQUEST_BODY = 1 };

/* Creates the metatable of body readers. */
void web_body_open(lua_State *L);

/* Pushes the reader of the current request's body, which is still arriving (c->body), for the user
   value of the request object. */
void web_body_push(lua_State *L, HttpConnection *c);

/* Raises the 413 of a body of the request object at index 1 that is known to be larger than
   web_body_push_whole takes. */
void web_body_check_size(lua_State *L);

/* Pushes the whole body of the request object at index 1. If it has to wait, it suspends for
   `function` and does not return: the finish of `wait` runs when the body is there, and calls this
   again. Raises if the body cannot be read. */
void web_body_push_whole(lua_State *L, const char *function, const WaitType *wait);
void web_body_cancel(Task *t, void *op); /* for `wait`, like the next one */
bool web_body_revoke(Task *t, void *op);

/* req:chunks(): returns the iterator and its state for the request at index 1. At index 2: nil, or
   a string with which a script has replaced the body. */
int web_body_chunks(lua_State *L);

/* hold_chunks(state): the iterator's, before it is called. Whoever calls it keeps what it returns,
   until the request is answered: that counts for max_buffered. */
int web_body_hold(lua_State *L);

/* feed_form(state, reader) -> whether there was more: what the iterator would return is fed to a
   reader of a form (forms.c) without becoming a string. */
int web_body_feed(lua_State *L);

/* The values of a JSON body, which the handler has until the request is answered, count for
   max_buffered. False: the server keeps too much, and the 503 is pushed. */
bool web_json_hold(lua_State *L, uint64_t values);

/* web_json_hold for the values of a body that is decoded in one go; raises the 503. False: it has
   more than `max_values`, and `error` says so. */
bool web_json_admit(lua_State *L, const char *text, size_t size, uint64_t max_values,
                    JsonError *error);

/* --- WebSockets (web_websocket.c) --- */

/* Reads what the response 101 at `index` says of its socket; pushes and returns that, for the next
   function. May raise. */
void *web_websocket_prepare(lua_State *L, int index);

/* The 101 is in c->out: waits until it is written, and calls the function of the response with the
   socket. `opening` is on the top of L, above the function. Must be the last act of a C function,
   like web_respond. */
int web_websocket_open(lua_State *L, HttpConnection *c, void *opening);

/* --- streamed responses (web_stream.c) --- */

/* The object that writes a streamed body. */
typedef struct WebOut WebOut;
void web_out_open(lua_State *L);

/* mailbox(out) -> a new mailbox of a hub (bindings/hub/mailbox.h), for what is written to `out`: a
   client that is too far behind is cut off. `out` may be something else that has `write`. */
int web_out_mailbox(lua_State *L);
int web_out_may_keep(lua_State *L);

/* Pushes a new one for a body of the given length (see http_response.h). */
WebOut *web_out_new(lua_State *L, uint64_t length);

/* For files.c: the stream of the value at `index` if that is such an object and takes more at once;
   or NULL. */
HttpStream *web_out_ready(lua_State *L, int index);

/* wait(out): if the client is behind, waits until it is not, and returns true; else, and for what
   stands for the stream of a response, returns false. */
int web_out_wait(lua_State *L);

/* Called when the head of the current response has been written at `head_at` of c->out: runs the
   function at `function` with `out`, which is on the top of L, and ends the stream. Must be the
   last act of a C function, like web_respond. */
int web_out_run(lua_State *L, WebOut *out, HttpConnection *c, size_t head_at, int function);

/* The same for the response at index 2 to the request at index 1, from a route with middleware. If
   the function fails before anything was sent, another response is made from its error. */
int web_out_run_rendered(lua_State *L, WebOut *out, HttpConnection *c, size_t head_at,
                         int function);

#endif
