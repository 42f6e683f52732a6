/* The order in which tasks end: what ml.as_completed walks through. */
#include "modules.h"
#include "task.h"

#include <lauxlib.h>

#define COMPLETIONS "moonloop.completions"

typedef struct CompletionItem {
  TaskObserver observer;
  struct Completions *of;
} CompletionItem;

typedef struct Completions {
  Waiters line;
  int n, ended, given; /* order[given..ended) have ended and have not been given */
  int claimed;         /* of them, by tasks that have been woken */
  int *order;          /* behind the items, in the same userdata */
  CompletionItem items[];
} Completions;

/* Wakes those for whom there is one now. */
static void settle(Completions *c) {
  while (c->line.count > 0 && c->ended - c->given > c->claimed) {
    waiters_wake_first(&c->line);
    c->claimed++;
  }
}

static void item_ended(TaskObserver *observer, Task *t) {
  (void)t;
  CompletionItem *item = (CompletionItem *)(void *)observer;
  Completions *c = item->of;
  c->order[c->ended++] = (int)(item - c->items) + 1;
  settle(c);
}

static void next_cancel(Task *t, void *op) {
  waiters_leave(&((Completions *)op)->line, &t->waiter);
}

/* The index stays for the next one who asks. */
static bool next_revoke(Task *t, void *op) {
  (void)t;
  Completions *c = op;
  c->claimed--;
  settle(c);
  return true;
}

static int give_next(lua_State *L, Completions *c) {
  lua_pushinteger(L, c->order[c->given++]);
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
static int completions_next(lua_State *L) {
  Completions *c = luaL_checkudata(L, 1, COMPLETIONS);
  if (c->given + c->claimed + (int)c->line.count >= c->n) return 0; /* the rest is spoken for */
  if (c->given + c->claimed < c->ended) return give_next(L, c);
  Task *t = ml_wait_enter(L, "ml.as_completed");
  waiters_join(&c->line, &t->waiter);
  return ml_wait_suspend(L, t, &next_wait, c);
}

static int completions_gc(lua_State *L) {
  Completions *c = luaL_checkudata(L, 1, COMPLETIONS);
  for (int i = 0; i < c->n; i++) task_unobserve(&c->items[i].observer);
  return 0;
}

int completions_new(lua_State *L) {
  static const luaL_Reg methods[] = {{"next", completions_next}, {NULL, NULL}};
  luaL_checktype(L, 1, LUA_TTABLE);
  int n = (int)luaL_checkinteger(L, 2);
  size_t items = (size_t)n * sizeof(CompletionItem);
  Completions *c = lua_newuserdatauv(L, sizeof *c + items + (size_t)n * sizeof(int), 0);
  *c = (Completions){.n = n};
  c->order = (int *)(void *)((char *)c->items + items);
  waiters_init(&c->line);
  for (int i = 0; i < n; i++) c->items[i] = (CompletionItem){.of = c};
  modules_set_class(L, COMPLETIONS, methods, completions_gc, NULL);
  for (int i = 0; i < n; i++) {
    lua_rawgeti(L, 1, i + 1);
    TaskHandle *handle = task_check_handle(L, -1);
    handle->observed = true;
    if (handle->task) {
      c->items[i].observer.ended = item_ended;
      task_observe(handle->task, &c->items[i].observer);
    } else {
      c->order[c->ended++] = i + 1;
    }
    lua_pop(L, 1);
  }
  return 1;
}
