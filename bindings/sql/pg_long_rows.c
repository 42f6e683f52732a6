/* moonloop.sql.pg: the rows of a long reply, as Lua's values: in steps between which other tasks
   run. */
#include "bindings/class.h"
#include "bindings/sql/pg.h"
#include "core/wait.h"

/* Bytes of a reply that a step makes rows of: some two milliseconds' work. */
#define STEP (64 << 10)

/* A userdata on the stack. */
struct PgLongRows {
  PgSlice reply; /* the call's; its block */
  PgTypeOptions options;
  PgResult of;
  PgRows rows;
};

#define LONG_ROWS "moonloop.sql.pg.long_rows"

static void drop(PgLongRows *all) { pg_reader_release(&all->reply); }

static int l_rows_gc(lua_State *L) {
  drop(lua_touserdata(L, 1));
  return 0;
}

static int turn_finish(lua_State *L, Task *task, void *op) {
  (void)task;
  return pg_long_rows_go(L, op);
}

/* Cancelled in between: what has been made is dropped. */
static bool turn_revoke(Task *task, void *op) {
  (void)task;
  drop(op);
  return true;
}

static const WaitType turn_wait = {.name = "its turn to read many rows of PostgreSQL",
                                   .cancel = wait_cancel_nothing,
                                   .finish = turn_finish,
                                   .revoke = turn_revoke};

int pg_long_rows_go(lua_State *L, PgLongRows *all) {
  while (!pg_result_go(L, &all->rows, STEP))
    if (wait_may_give_way(L)) return wait_give_way(L, &turn_wait, all);
  drop(all);
  return 1;
}

PgLongRows *pg_long_rows_begin(lua_State *L, PgCall *call, PgResult *of) {
  static const luaL_Reg none[] = {{NULL, NULL}};
  PgLongRows *all = lua_newuserdatauv(L, sizeof *all, 0);
  all->reply = (PgSlice){0};
  class_set(L, LONG_ROWS, none, l_rows_gc, NULL);
  all->options = *of->options;
  all->of = *of;
  all->of.options = &all->options;
  if (!pg_result_begin(L, &all->rows, &all->of, call->reply)) return NULL;
  while (!all->rows.taken && !pg_result_go(L, &all->rows, 1)) continue;
  of->is_new_shape = all->of.is_new_shape; /* the columns come before the first row */
  all->reply = call->reply;
  call->reply = (PgSlice){0};
  return all;
}
