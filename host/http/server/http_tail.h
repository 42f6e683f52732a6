/* What has to happen when a response is over: a task that starts when its last byte has been given
   to the system, or when its client has gone. A request without such a task costs nothing here. */
#ifndef ML_HTTP_TAIL_H
#define ML_HTTP_TAIL_H

#include "core/task_label.h"
#include "core/task_trace.h"
#include "http/server/http_connection.h"

typedef struct HttpTail {
  TaskOwner owner;
  struct HttpTail *next; /* of a later request */
  Runtime *rt;
  HttpServer *server; /* there until the task has begun, or while it is counted in its tally */
  uint64_t number;    /* of its request */
  const char *route;  /* its name, which the server's router owns */
  int ref;            /* registry reference: what the task runs; its owner sets it */
  TaskLabel *label;   /* what the task works for; a reference, or NULL */
  TaskTrace *trace;   /* and what it belongs to; the same */
  bool has_begun;     /* the task runs or has run */
} HttpTail;

/* The tail of the connection's current request, made on first use with ref = LUA_NOREF; NULL if
   memory is out. A handler runs. The task's body is the server's `tail`. */
HttpTail *http_tail_get(HttpConnection *c);

/* The tail of the running task, or NULL. */
HttpTail *http_tail_current(const Task *t);

/* The end of a pass: starts those of the responses that the system has taken. */
void http_tail_pass(HttpConnection *c);

/* Starts all of them: the connection is closed, and no handler runs. */
void http_tail_close(HttpConnection *c);

#endif
