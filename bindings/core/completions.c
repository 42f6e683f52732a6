/* The order in which tasks end: what ml.as_completed walks through. */
#include "bindings/core/completions.h"

#include "bindings/args.h"
#include "bindings/class.h"
#include "core/task.h"
#include "core/wait.h"

#include <lauxlib.h>

#define COMPLETIONS "moonloop.completions"

typedef struct CompletionItem {
  TaskObserver observer;
  struct Completions *of;
  TaskHandle *handle; /* kept by the list of all of them, the user value */
  bool watched;       /* it has failed, and has not been given */
} CompletionItem;

typedef struct Completions {
  Waiters line;
  int n, ended, given; /* order[given..ended) have ended and have not been given */
  int claimed;         /* how many of those belong to tasks that have been woken */
  bool left;           /* the loop is over: failures that were not given are reported */
  int *order;          /* after the items, in the same userdata */
  CompletionItem items[];
} Completions;

/* Wakes as many waiters as there are ended tasks for them. */
static void settle(Completions *c) {
  while (c->line.count > 0 && c->ended - c->given > c->claimed) {
    waiters_wake_first(&c->line);
    c->claimed++;
  }
}

static void watch_failure(CompletionItem *item) {
  if (item->handle->audience.heard || item->of->left) return;
  item->handle->audience.watchers++;
  item->watched = true;
}

static void stop_watching(Runtime *rt, CompletionItem *item) {
  if (!item->watched) return;
  item->watched = false;
  item->handle->audience.watchers--;
  report_watch_over(rt);
}

static void item_ended(TaskObserver *observer, Task *t) {
  CompletionItem *item = (CompletionItem *)(void *)observer;
  Completions *c = item->of;
  c->order[c->ended++] = (int)(item - c->items) + 1;
  if (t->status == TASK_FAILED) watch_failure(item);
  settle(c);
}

static void next_cancel(Task *t, void *op) {
  waiters_leave(&((Completions *)op)->line, &t->waiter);
}

/* The index stays for the next caller. */
static bool next_revoke(Task *t, void *op) {
  (void)t;
  Completions *c = op;
  c->claimed--;
  settle(c);
  return true;
}

static int give_next(lua_State *L, Completions *c) {
  int index = c->order[c->given++];
  CompletionItem *item = &c->items[index - 1];
  item->handle->audience.heard = true;
  stop_watching(runtime_of(L), item);
  lua_pushinteger(L, index);
  return 1;
}

static int next_finish(lua_State *L, Task *t, void *op) {
  (void)t;
  Completions *c = op;
  c->claimed--;
  return give_next(L, c);
}

static const WaitType next_wait = {.name = "the next of several tasks",
                                   .cancel = next_cancel,
                                   .finish = next_finish,
                                   .revoke = next_revoke};

/* completions:next() -> index of the next task that has ended | nil when all have been given */
static int l_completions_next(lua_State *L) {
  Completions *c = luaL_checkudata(L, 1, COMPLETIONS);
  if (c->given + c->claimed + (int)c->line.count >= c->n) return 0; /* the rest belongs to others */
  if (c->given + c->claimed < c->ended) return wait_spared(L, give_next(L, c), 1);
  Task *t = ml_wait_enter(L, "ml.as_completed");
  waiters_join(&c->line, &t->waiter);
  return ml_wait_suspend(L, t, &next_wait, c);
}

/* Called at the end of the loop over them. */
static int l_completions_close(lua_State *L) {
  Completions *c = luaL_checkudata(L, 1, COMPLETIONS);
  c->left = true;
  for (int i = 0; i < c->n; i++) stop_watching(runtime_of(L), &c->items[i]);
  return 0;
}

static int l_completions_gc(lua_State *L) {
  Completions *c = luaL_checkudata(L, 1, COMPLETIONS);
  for (int i = 0; i < c->n; i++) task_unobserve(&c->items[i].observer);
  return l_completions_close(L);
}

int completions_new(lua_State *L) {
  static const luaL_Reg methods[] = {{"next", l_completions_next}, {NULL, NULL}};
  luaL_checktype(L, 1, LUA_TTABLE);
  int n = (int)luaL_checkinteger(L, 2);
  size_t items = (size_t)n * sizeof(CompletionItem);
  Completions *c = lua_newuserdatauv(L, sizeof *c + items + (size_t)n * sizeof(int), 1);
  *c = (Completions){.n = n};
  c->order = (int *)(void *)((char *)c->items + items);
  waiters_init(&c->line);
  for (int i = 0; i < n; i++) c->items[i] = (CompletionItem){.of = c};
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 1);
  for (int i = 0; i < n; i++) {
    lua_rawgeti(L, 1, i + 1);
    CompletionItem *item = &c->items[i];
    item->handle = args_check_task(L, -1);
    lua_pop(L, 1);
  }
  class_set(L, COMPLETIONS, methods, l_completions_gc, l_completions_close);
  for (int i = 0; i < n; i++) {
    CompletionItem *item = &c->items[i];
    if (item->handle->task) {
      item->observer.ended = item_ended;
      task_observe(item->handle->task, &item->observer);
    } else {
      c->order[c->ended++] = i + 1;
      if (item->handle->status == TASK_FAILED) watch_failure(item);
    }
  }
  return 1;
}
