#include "http/server/http_tail.h"

#include "core/report.h"
#include "core/task_tally.h"
#include "http/server/http_server.h"
#include <lauxlib.h>
#include <stdlib.h>

static void start(HttpTail *tail);

static void ended(TaskOwner *owner, Task *t, lua_State *L, const char *traceback) {
  HttpTail *tail = container_of(owner, HttpTail, owner);
  Runtime *rt = tail->rt;
  if (!tail->has_begun && !rt->closing) { /* cancelled with others that a stopping server left */
    start(tail);
    return;
  }
  if (t->status == TASK_FAILED)
    report_error(L, "what follows a response failed", -1, traceback, NULL);
  if (!rt->closing) luaL_unref(rt->L, LUA_REGISTRYINDEX, tail->ref);
  free(tail);
}

/* "the end of GET /users/{id} (request 7)" */
static void describe(TaskOwner *owner, Text *text) {
  const HttpTail *tail = container_of(owner, HttpTail, owner);
  text_add(text, "the end of ");
  text_add(text, tail->route);
  text_add(text, " (request ");
  text_add_number(text, tail->number);
  text_add(text, ")");
}

/* Without memory for a task, it is dropped. */
static void start(HttpTail *tail) {
  Runtime *rt = tail->rt;
  Task *t = rt->closing ? NULL : task_start_soon(rt, tail->server->tail, &tail->owner);
  if (!t) {
    free(tail);
    return;
  }
  t->name = tail->route;
  task_tally_enter(tail->server->tasks, t);
}

HttpTail *http_tail_get(HttpConnection *c) {
  HttpTail **link = &c->tails;
  for (; *link; link = &(*link)->next)
    if ((*link)->number == c->number) return *link;
  HttpTail *tail = calloc(1, sizeof *tail);
  if (!tail) return NULL;
  tail->owner = (TaskOwner){ended, describe};
  tail->rt = c->server->rt;
  tail->server = c->server;
  tail->number = c->number;
  tail->route = c->match.route->name;
  tail->ref = LUA_NOREF;
  *link = tail;
  return tail;
}

HttpTail *http_tail_current(const Task *t) {
  if (!t->owner || t->owner->ended != ended) return NULL;
  return container_of(t->owner, HttpTail, owner);
}

/* Starts the first one of the list. */
static void start_first(HttpConnection *c) {
  HttpTail *tail = c->tails;
  c->tails = tail->next;
  start(tail);
}

void http_tail_pass(HttpConnection *c) {
  if (c->out.len || byte_stream_is_writing(&c->bytes)) return;
  /* The last one may be that of the request that is being handled. */
  while (c->tails && (!c->task || c->tails->number != c->number)) start_first(c);
}

void http_tail_close(HttpConnection *c) {
  while (c->tails) start_first(c);
}
