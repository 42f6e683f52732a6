/* The rows of a long result, as Lua's values: in steps between which other tasks run. */
#include "bindings/class.h"
#include "bindings/sql/sqlite.h"
#include "core/wait.h"

/* Bytes of cells that a step makes rows of: some two milliseconds' work. */
#define STEP (32 << 10)

/* A userdata on the stack, below the list. */
typedef struct LongRows {
  const SqlitePoolObject *of;
  Buffer cells; /* the job's, as its shape */
  SqliteShape *shape;
  const char *at; /* the next row */
  size_t rows, taken;
  int shape_at, list;
} LongRows;

#define LONG_ROWS "moonloop.sql.sqlite.long_rows"

static void drop(LongRows *r) {
  buffer_free(&r->cells);
  if (r->shape) sqlite_statement_release_shape(r->shape);
  r->shape = NULL;
}

static int l_rows_gc(lua_State *L) {
  drop(lua_touserdata(L, 1));
  return 0;
}

static int go_on(lua_State *L, LongRows *r);

static int turn_finish(lua_State *L, Task *task, void *op) {
  (void)task;
  return go_on(L, op);
}

/* Cancelled in between: what has been made is dropped. */
static bool turn_revoke(Task *task, void *op) {
  (void)task;
  drop(op);
  return true;
}

static const WaitType turn_wait = {.name = "its turn to read many rows of SQLite",
                                   .cancel = wait_cancel_nothing,
                                   .finish = turn_finish,
                                   .revoke = turn_revoke};

static int go_on(lua_State *L, LongRows *r) {
  const char *from = r->at;
  while (r->taken < r->rows) {
    if (r->at - from >= STEP) {
      if (wait_may_give_way(L)) return wait_give_way(L, &turn_wait, r);
      from = r->at;
    }
    r->at = sqlite_result_push_row(L, r->of, r->shape, r->at, r->shape_at);
    lua_rawseti(L, r->list, (lua_Integer)++r->taken);
  }
  drop(r);
  return 1;
}

int sqlite_rows_push(lua_State *L, SqlitePoolObject *of, SqliteJob *job, int shape_at) {
  static const luaL_Reg none[] = {{NULL, NULL}};
  LongRows *r = lua_newuserdatauv(L, sizeof *r, 0);
  *r = (LongRows){.of = of, .rows = job->rows, .shape_at = shape_at};
  class_set(L, LONG_ROWS, none, l_rows_gc, NULL);
  sqlite_result_push_list(L, job, shape_at);
  r->list = lua_gettop(L);
  r->cells = job->cells;
  r->at = r->cells.data;
  r->shape = sqlite_statement_retain_shape(job->shape);
  job->cells = (Buffer){0};
  sqlite_delivered(of, job);
  return go_on(L, r);
}
