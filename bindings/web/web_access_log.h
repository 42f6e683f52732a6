/* The destination of a server's access log: standard output, or a function of a script. */
#ifndef ML_WEB_ACCESS_LOG_H
#define ML_WEB_ACCESS_LOG_H

#include "core/task.h"
#include "http/server/access_log.h"
#include "http/server/http_server.h"

typedef struct WebAccessLog {
  AccessLog log; /* first, so that the server's log is this struct */
  HttpServer *http;
  int object;      /* registry reference: the server as scripts see it */
  int function;    /* registry reference, or 0: lines go to standard output */
  TaskOwner taker; /* the task that runs the function */
  bool is_taken;   /* the task runs */
  bool is_ending;  /* no more entries come */
  bool is_closed;
  Timer retry;    /* retries lines for which there was no room */
  uint64_t until; /* with is_ending: when they are dropped, on the runtime's clock */
  /* Called when something it waited for has ended. */
  void (*settled)(struct WebAccessLog *log);
} WebAccessLog;

/* Starts the log of the server `http`, whose object `object` is, a registry reference: "common" or
   "json" at `index` of L, or a function. `worker`: see AccessLog. The caller sets `settled`. */
void web_access_log_open(WebAccessLog *log, lua_State *L, int index, HttpServer *http, int object,
                         int worker);

/* Are there entries that still have to be taken? */
bool web_access_log_is_busy(const WebAccessLog *log);

/* The last entry has come: waiting entries have a second to find room. */
void web_access_log_end(WebAccessLog *log);

/* Tries once more, reports what is lost, and frees everything except `lines`. Harmless if the log
   was never opened. */
void web_access_log_close(WebAccessLog *log);

/* Takes the lines that wait for the function and pushes them, or nothing. Returns the number of
   values. */
int web_access_log_take(WebAccessLog *log, lua_State *L);

#endif
