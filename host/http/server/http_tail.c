#include "http/server/http_tail.h"

#include "core/report.h"
#include "core/task_tally.h"
#include "http/server/http_server.h"
#include <lauxlib.h>
#include <stdlib.h>

static void start(HttpTail *tail);

static void tail_free(HttpTail *tail) {
  task_label_drop(tail->label);
  task_trace_drop(tail->trace);
  free(tail);
}

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
  tail_free(tail);
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

static TaskLabel *label_of(TaskOwner *owner, uint64_t *number) {
  const HttpTail *tail = container_of(owner, HttpTail, owner);
  *number = tail->number;
  return tail->label;
}

/* Without memory for a task, it is dropped. */
static void start(HttpTail *tail) {
  Runtime *rt = tail->rt;
  Task *t = rt->closing ? NULL : task_start_soon(rt, tail->server->tail, &tail->owner);
  if (!t) {
    tail_free(tail);
    return;
  }
  t->name = tail->route;
  task_trace_replace(&t->trace, task_trace_hold(tail->trace));
  task_tally_enter(tail->server->tasks, t);
}

static HttpTail *find_or_add(HttpConnection *c) {
  HttpTail **link = &c->tails;
  for (; *link; link = &(*link)->next)
    if ((*link)->number == c->number) return *link;
  HttpTail *tail = calloc(1, sizeof *tail);
  if (!tail) return NULL;
  tail->owner = (TaskOwner){ended, describe, label_of};
  tail->rt = c->server->rt;
  tail->server = c->server;
  tail->number = c->number;
  tail->route = c->match.route->name;
  tail->ref = LUA_NOREF;
  *link = tail;
  return tail;
}

/* The handler may have got an id since the last time. */
static void take_context(HttpTail *tail, const Task *handler) {
  uint64_t number;
  TaskLabel *label = task_label_of(handler, &number);
  if (label) label->refs++;
  task_label_drop(tail->label);
  tail->label = label;
  task_trace_replace(&tail->trace, task_trace_hold(handler->trace));
}

HttpTail *http_tail_get(HttpConnection *c) {
  HttpTail *tail = find_or_add(c);
  if (tail && c->task) take_context(tail, c->task);
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
