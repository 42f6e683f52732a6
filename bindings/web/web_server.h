/* A server of moonloop.web.core; between web_server.c and web_server_end.c. */
#ifndef ML_WEB_SERVER_H
#define ML_WEB_SERVER_H

#include "bindings/web/web.h"
#include "bindings/web/web_access_log.h"
#include "core/signals.h"
#include "core/task_tally.h"
#include "serve/serve_sockets.h"

typedef struct WebServer {
  HttpServer http;                /* first, so that a connection's server is this struct */
  struct WebServer *next, **link; /* in web->servers */
  TaskTally tasks;                /* handlers, and tasks they have started */
  SignalHook on_signal;           /* closes the listening socket */
  Timer drain;                    /* until then the tasks may end by themselves */
  struct StopWait *waits;
  int self;         /* registry reference: the userdata, until all is over */
  int router;       /* the same for its router */
  int first_router; /* and for the first router, or LUA_NOREF */
  int tls;          /* and for the options of TLS, or LUA_NOREF */
  int failures;     /* and for the table of l_serve_in_memory, or LUA_NOREF */
  WebAccessLog log;
  bool has_waited;  /* until `drain`, for some time */
  bool is_given_up; /* tasks that cannot be ended are not waited for */
  bool is_over;
} WebServer;

/* The server at `index`, or an argument error. */
WebServer *web_server_check(lua_State *L, int index);

/* The limit `drain` in seconds. */
lua_Number web_server_drain(const WebServer *server);

/* --- TLS (web_server_tls.c) --- */

/* Makes the server speak TLS if the options at `index` have `tls`. False if a certificate is wrong:
   then nil and an error are pushed. */
bool web_server_tls_open(lua_State *L, int index, WebServer *server);

/* Which of the sockets speak TLS: those whose address says so, or all if none does. Returns 0; or,
   if there is no certificate, closes them, pushes nil and an error, and returns 2. */
int web_server_tls_sockets(lua_State *L, WebServer *server, ServeSockets *sockets);

/* Reads the certificates again, for connections from now on. Pushes true; false without TLS; or nil
   and an error, and the server goes on with those that it has. Returns the number of results. */
int web_server_tls_read(lua_State *L, WebServer *server);

/* --- the end (web_server_end.c) --- */

/* Makes a new server tell when its connections, tasks and access log have ended. */
void web_server_end_watch(WebServer *server);

/* Adds the methods that stop a server, or wait for its end, to the table on the top of L. */
void web_server_end_open(lua_State *L);

#endif
