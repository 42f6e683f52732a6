/* ml.queue: values from tasks to tasks, in order, with a bound.

   A task that waits is woken with a claim, on the item or the room that has become free, and takes
   it when it runs. If it is cancelled in between, the claim goes to the next task, so nothing is
   lost.
 */
#include "bindings/core/queue.h"

#include "bindings/check.h"
#include "bindings/class.h"
#include "core/task.h"
#include "core/wait.h"

#include <lauxlib.h>
#include <stdint.h>

#define QUEUE "moonloop.queue"

/* The items are the user value, a table, at [first, last). */
typedef struct Queue {
  Waiters getters, putters;
  lua_Integer first, last;
  lua_Integer capacity;
  lua_Integer claimed_items, claimed_room; /* claimed by tasks that have been woken */
  bool closed;
} Queue;

static Queue *check(lua_State *L) { return check_self(L, QUEUE); }

static int raise_closed(lua_State *L, const char *function) {
  return ml_error_raise(L, "closed", NULL, "%s: the queue is closed", function);
}

static bool has_item(const Queue *q) { return q->last - q->first > q->claimed_items; }

/* A waiting getter makes room for its item: that is a rendezvous. */
static bool has_room(const Queue *q) {
  lua_Integer taken = q->last - q->first + q->claimed_room - q->claimed_items;
  return taken < q->capacity + (lua_Integer)q->getters.count;
}

/* Wakes as many tasks as there are items or room for. */
static void settle(Queue *q) {
  while (q->getters.count > 0 && has_item(q)) {
    waiters_wake_first(&q->getters);
    q->claimed_items++;
  }
  while (q->putters.count > 0 && has_room(q)) {
    waiters_wake_first(&q->putters);
    q->claimed_room++;
  }
}

static void push_item(lua_State *L, Queue *q, int value) {
  lua_getiuservalue(L, 1, 1);
  lua_pushvalue(L, value);
  lua_rawseti(L, -2, q->last);
  lua_pop(L, 1);
  q->last++;
  settle(q);
}

static int take_item(lua_State *L, Queue *q) {
  lua_getiuservalue(L, 1, 1);
  lua_rawgeti(L, -1, q->first);
  lua_pushnil(L);
  lua_rawseti(L, -3, q->first);
  if (++q->first == q->last) q->first = q->last = 1; /* the table stays an array */
  settle(q);
  return 1;
}

/* The outcome of a wait, stored in place of its op: */
static char closed_op;    /* the queue was closed */
static char delivered_op; /* for a putter: a getter has taken its value */

/* --- get --- */

static void get_cancel(Task *t, void *op) { waiters_leave(&((Queue *)op)->getters, &t->waiter); }

static bool get_revoke(Task *t, void *op) {
  (void)t;
  if (op == &closed_op) return true;
  Queue *q = op;
  q->claimed_items--;
  settle(q);
  return true;
}

static int get_finish(lua_State *L, Task *t, void *op) {
  (void)t;
  if (op == &closed_op) return raise_closed(L, "queue:get");
  Queue *q = op;
  q->claimed_items--;
  return take_item(L, q);
}

static const WaitType get_wait = {
    .name = "an item of a queue", .cancel = get_cancel, .finish = get_finish, .revoke = get_revoke};

/* Pushes an item if there is one now, in the queue or from a waiting putter. */
static bool get_now(lua_State *L, Queue *q) {
  if (has_item(q)) return take_item(L, q) == 1;
  if (q->capacity > 0 || q->putters.count == 0) return false;
  Task *putter = waiters_task(q->putters.end.next);
  lua_State *from = putter->waiter.L; /* it is suspended in put(q, value) */
  lua_pushvalue(from, 2);
  lua_xmove(from, L, 1);
  waiters_wake_first(&q->putters);
  putter->op = &delivered_op;
  return true;
}

/* get() -> value: waits for an item. Raises "closed" when the queue is closed and empty. */
static int l_queue_get(lua_State *L) {
  Queue *q = check(L);
  lua_settop(L, 1);
  if (get_now(L, q)) return wait_spared(L, 1, 1);
  if (q->closed) return raise_closed(L, "queue:get");
  Task *t = ml_wait_enter(L, "queue:get");
  waiters_join(&q->getters, &t->waiter);
  return ml_wait_suspend(L, t, &get_wait, q);
}

/* try_get() -> value, or nil when get would wait. Raises "closed" as get does. */
static int l_queue_try_get(lua_State *L) {
  Queue *q = check(L);
  lua_settop(L, 1);
  if (get_now(L, q)) return 1;
  if (q->closed) return raise_closed(L, "queue:try_get");
  lua_pushnil(L);
  return 1;
}

/* --- put --- */

static void put_cancel(Task *t, void *op) { waiters_leave(&((Queue *)op)->putters, &t->waiter); }

static bool put_revoke(Task *t, void *op) {
  (void)t;
  if (op == &delivered_op) return false;
  if (op == &closed_op) return true;
  Queue *q = op;
  q->claimed_room--;
  settle(q);
  return true;
}

static int put_finish(lua_State *L, Task *t, void *op) {
  (void)t;
  if (op == &delivered_op) return 0;
  if (op == &closed_op) return raise_closed(L, "queue:put");
  Queue *q = op;
  q->claimed_room--;
  /* Closed since it was woken: getters may have been told that nothing more comes. */
  if (q->closed) return raise_closed(L, "queue:put");
  push_item(L, q, 2);
  return 0;
}

static const WaitType put_wait = {
    .name = "room in a queue", .cancel = put_cancel, .finish = put_finish, .revoke = put_revoke};

static Queue *check_put(lua_State *L, const char *function) {
  Queue *q = check(L);
  check_true(L, !lua_isnoneornil(L, 2), 2, "a value is expected (nil cannot be put)");
  lua_settop(L, 2);
  if (q->closed) raise_closed(L, function);
  return q;
}

/* put(value): waits for room. Raises "closed" when the queue is closed, before or while it waits.
 */
static int l_queue_put(lua_State *L) {
  Queue *q = check_put(L, "queue:put");
  if (q->putters.count == 0 && has_room(q)) {
    push_item(L, q, 2);
    return wait_spared(L, 0, 1);
  }
  Task *t = ml_wait_enter(L, "queue:put");
  t->waiter.L = L;
  waiters_join(&q->putters, &t->waiter);
  return ml_wait_suspend(L, t, &put_wait, q);
}

/* try_put(value) -> boolean: false when put would wait. Raises "closed" as put does. */
static int l_queue_try_put(lua_State *L) {
  Queue *q = check_put(L, "queue:try_put");
  bool room = q->putters.count == 0 && has_room(q);
  if (room) push_item(L, q, 2);
  lua_pushboolean(L, room);
  return 1;
}

/* --- the rest --- */

static void close_line(Waiters *line) {
  for (Task *t; (t = waiters_wake_first(line));) t->op = &closed_op;
}

/* close(): no more puts. Items already in the queue can still be got; waiting tasks are woken with
   "closed". Calling it again is harmless. */
static int l_queue_close(lua_State *L) {
  Queue *q = check(L);
  q->closed = true;
  close_line(&q->getters);
  close_line(&q->putters);
  return 0;
}

/* len() -> how many items get could take now without waiting */
static int l_queue_len(lua_State *L) {
  Queue *q = check(L);
  lua_pushinteger(L, q->last - q->first - q->claimed_items);
  return 1;
}

static int items_finish(lua_State *L, Task *t, void *op) {
  if (op != &closed_op) return get_finish(L, t, op);
  lua_pushnil(L); /* ends the loop */
  return 1;
}

static const WaitType items_wait = {.name = "an item of a queue",
                                    .cancel = get_cancel,
                                    .finish = items_finish,
                                    .revoke = get_revoke};

static int l_items_next(lua_State *L) {
  Queue *q = check(L);
  lua_settop(L, 1);
  if (get_now(L, q)) return wait_spared(L, 1, 1);
  lua_pushnil(L);
  if (q->closed) return 1;
  lua_settop(L, 1);
  Task *t = ml_wait_enter(L, "queue:items");
  waiters_join(&q->getters, &t->waiter);
  return ml_wait_suspend(L, t, &items_wait, q);
}

/* items(): for v in q:items() do ... end, until the queue is closed and empty */
static int l_queue_items(lua_State *L) {
  check(L);
  lua_pushcfunction(L, l_items_next);
  lua_pushvalue(L, 1);
  return 2;
}

/* queue([capacity]) -> queue. nil means no bound; with 0, each value is handed over from put to
   get. */
int queue_new(lua_State *L) {
  static const luaL_Reg methods[] = {{"put", l_queue_put},         {"get", l_queue_get},
                                     {"try_put", l_queue_try_put}, {"try_get", l_queue_try_get},
                                     {"close", l_queue_close},     {"len", l_queue_len},
                                     {"items", l_queue_items},     {NULL, NULL}};
  lua_Integer capacity = INT64_MAX / 2; /* more than memory can hold */
  if (!lua_isnoneornil(L, 1)) capacity = check_integer(L, 1);
  check_true(L, capacity >= 0, 1, "the capacity cannot be negative");
  Queue *q = lua_newuserdatauv(L, sizeof *q, 1);
  *q = (Queue){.first = 1, .last = 1, .capacity = capacity};
  waiters_init(&q->getters);
  waiters_init(&q->putters);
  lua_newtable(L);
  lua_setiuservalue(L, -2, 1);
  class_set(L, QUEUE, methods, NULL, NULL);
  return 1;
}
