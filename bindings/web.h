/* What the files of moonloop.web.core share. */
#ifndef ML_WEB_H
#define ML_WEB_H

#include "http_server.h"
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
  WEB_FIELDS
} WebField;

/* One a Lua state, in the registry. */
typedef struct Web {
  CloseHook on_close;
  struct WebServer *servers;      /* that are not over */
  int request_metatable;          /* registry references */
  int response_class;             /* the metatable of responses */
  const void *response_metatable; /* its address */
  int fields[WEB_FIELDS]; /* their names: taking them from here is cheaper than naming them */
  int on_file;            /* registry reference: what makes a response of a file */
  uint64_t id_seed[2], id_count; /* of the request ids that were made */
  Buffer body;                   /* scratch: a JSON body */
  Buffer lines;                  /* scratch: header lines */
} Web;

/* Creates the metatable of requests and lets them cross to executors. */
void web_request_open(lua_State *L);

/* Creates the metatable of response headers; sets `headers` in the module on the top of L. */
void web_headers_open(lua_State *L);

/* Sets what chains of middleware are made of in the module on the top of L (web_chain.c). */
void web_chain_open(lua_State *L, Web *web);

/* Is the handler at `index` such a chain? */
bool web_chain_is_link(lua_State *L, int index);

/* Is the value at `index` a response object? */
bool web_is_response(lua_State *L, const Web *web, int index);

/* Pushes a field of the response at `index` (absolute), past its class; returns its type. */
int web_get_field(lua_State *L, const Web *web, int index, WebField field);

/* The router of the object at `index`, or an argument error. */
const HttpRouter *web_check_router(lua_State *L, int index);

/* Starts the task of the connection's current request. False: there is no memory for it. */
bool web_start_request(HttpConnection *c);

/* The connection whose handler's task this is, or NULL. */
HttpConnection *web_connection_of(const Task *t);

/* Creates the metatable of servers; sets `listen` and `limit` in the module on the top of L. */
void web_server_open(lua_State *L, Web *web);

/* The close hook of Web: ends its servers at once. */
void web_close_servers(CloseHook *hook, Runtime *rt);

/* Raises what is wrong with the table of response headers at `index`. `streamed`: the body's length
   may be among them. */
void web_check_headers(lua_State *L, Web *web, int index, bool streamed);

/* Writes method and path of the request object at `index` for people. False where there is none. */
bool web_request_title(lua_State *L, int index, char *text, size_t size);

/* allowed(req) -> "GET, HEAD" | nil: the methods that its path has routes for */
int web_request_allowed(lua_State *L);

/* Pushes the request object for the connection's current request, its own copy of everything. */
void web_request_push(lua_State *L, const Web *web, HttpConnection *c);

/* Pushes a table of the checked lines "Name: value\r\n": names in lower case, which are found in
   any case; values of one name are joined (RFC 9110 section 5.3). */
void web_header_lines_push(lua_State *L, const char *lines, size_t n);

/* Writes the response for what a handler returned: the values of L from `first` on. Raises an error
   that says what is wrong with them; then nothing is written. May suspend, and calls Lua: the last
   act of a C function, which returns what this returns. */
int web_respond(lua_State *L, Web *web, HttpConnection *c, int first);

/* Writes the response for the error value at `index`: its own status, headers and detail where it
   was made by abort or by a bad request, else false. */
bool web_respond_error(lua_State *L, Web *web, HttpConnection *c, int index);

/* Pushes the error object that makes web_respond_error answer with the status and {"detail":
   detail}. */
void web_push_abort(lua_State *L, int status, const char *detail);

/* --- the body of a request (web_body.c) --- */

/* The user value of a request object that keeps its body. */
enum { WEB_REQUEST_BODY = 1 };

/* Creates the metatable of what reads a body. */
void web_body_open(lua_State *L);

/* Pushes what reads the current request's body, which is still coming (c->body): the user value of
   its object. */
void web_body_push(lua_State *L, HttpConnection *c);

/* Pushes the whole body of the request object at index 1. Where it has to wait for it, it suspends
   for `function` and does not return: `wait`'s finish runs when it is there, and calls this again.
   Raises an error where the body cannot be read. */
void web_body_push_whole(lua_State *L, const char *function, const WaitType *wait);
void web_body_cancel(Task *t, void *op); /* for `wait`, as is the next */
bool web_body_revoke(Task *t, void *op);

/* req:chunks(): returns the iterator and its state for the request at index 1. At index 2: nil, or
   a string that a script has put in the body's place. */
int web_body_chunks(lua_State *L);

/* --- streamed responses (web_stream.c) --- */

/* The object with which a streamed body is written. */
typedef struct WebOut WebOut;
void web_out_open(lua_State *L);

/* Pushes a new one for a body of that length (see http_response.h). */
WebOut *web_out_new(lua_State *L, uint64_t length);

/* The head of the current response is written, at `head_at` of c->out: runs the function at
   `function` with `out`, which is on the top of L, and ends the stream. The last act of a C
   function, like web_respond. */
int web_out_run(lua_State *L, WebOut *out, HttpConnection *c, size_t head_at, int function);

#endif
