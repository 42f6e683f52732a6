#include "http/server/http_handler.h"

#include "core/task_label.h"
#include "core/task_limits.h"
#include "core/task_tally.h"
#include "http/server/http_server.h"
#include "http/server/http_upgrade.h"

static void ended(TaskOwner *owner, Task *t, lua_State *L, const char *traceback) {
  HttpConnection *c = container_of(owner, HttpConnection, owner);
  if (t->status != TASK_DONE) {
    if (c->upgrade) c->upgrade->has_failed = true;
    c->server->failed(c, t, L, traceback);
  }
  http_connection_responded(c);
}

/* "GET /users/{id} (request 7)" */
static void describe(TaskOwner *owner, Text *text) {
  const HttpConnection *c = container_of(owner, HttpConnection, owner);
  text_add(text, c->match.route->name);
  text_add(text, " (request ");
  text_add_number(text, c->number);
  text_add(text, ")");
}

static TaskLabel *label_of(TaskOwner *owner, uint64_t *number) {
  const HttpConnection *c = container_of(owner, HttpConnection, owner);
  *number = c->number;
  return c->match.route->label;
}

static const char *place_of(TaskOwner *owner) {
  return container_of(owner, HttpConnection, owner)->match.route->site;
}

bool http_handler_start(HttpConnection *c) {
  HttpServer *server = c->server;
  const Route *route = c->match.route;
  c->owner = (TaskOwner){ended, describe, label_of, place_of};
  c->task = task_start_soon(server->rt, server->handle, &c->owner);
  if (!c->task) return false;
  c->task->name = route->name;
  if (route->cpu > 0 || route->slice > 0) task_limits_set(c->task, route->cpu, route->slice);
  task_tally_enter(server->tasks, c->task);
  return true;
}

void http_handler_cancel(HttpConnection *c) {
  CancelCause *cause = cause_new(c->server->rt, "client disconnected");
  if (!cause) return;
  task_cancel(c->task, cause);
  cause_drop(cause);
}

HttpConnection *http_handler_connection(const Task *t) {
  if (!t->owner || t->owner->ended != ended) return NULL;
  return container_of(t->owner, HttpConnection, owner);
}
