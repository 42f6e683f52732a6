#include "bindings/json/json_long.h"

#include "core/task.h"
#include "core/wait.h"
#include "core/waiters.h"
#include "schema/schema_error.h"
#include "schema/schema_steps.h"
#include "json/json_steps.h"

/* Bytes in which values are counted at a time: about a millisecond's work. */
#define COUNT_STEP (1 << 20)

typedef enum Phase { COUNTING, DECODING, CHECKING } Phase;

#define LONG_TEXT "moonloop.json.long_text"

/* One per Lua state, in the registry: only one long text at a time is being decoded, and the others
   wait. Half-made values of many clients would fill the memory. */
typedef struct LongTexts {
  bool taken;        /* the turn */
  bool is_shortests; /* it is that of the shortest text, and the next one the first's */
  Waiters line;
} LongTexts;

static const char texts_key; /* its address is the registry's key of the LongTexts */

/* A userdata on the stack, above the text. */
typedef struct LongText {
  LongTexts *all;
  bool has_turn;
  Phase phase;
  const SchemaNode *n; /* NULL: no schema */
  int table;
  SchemaMode mode;
  size_t size;
  JsonLongDone done;
  JsonLongLimit limit;
  JsonCount count;
  JsonSteps json;
  SchemaSteps schema[]; /* one, or none */
} LongText;

static LongTexts *texts_of(lua_State *L) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &texts_key) == LUA_TNIL) {
    LongTexts *made = lua_newuserdatauv(L, sizeof *made, 0);
    made->taken = made->is_shortests = false;
    waiters_init(&made->line);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &texts_key);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &texts_key);
    lua_remove(L, -2);
  }
  LongTexts *all = lua_touserdata(L, -1);
  lua_pop(L, 1);
  return all;
}

static size_t size_at(Waiter *place) { return ((LongText *)waiters_task(place)->op)->size; }

/* Who waits has the next turn in order, and every other time by the length of the text: many long
   texts do not keep a shorter one waiting for all of them. */
static Waiter *choose(LongTexts *all) {
  Waiter *first = all->line.end.next, *shortest = first;
  all->is_shortests = !all->is_shortests;
  if (!all->is_shortests) return first;
  for (Waiter *w = first->next; w != &all->line.end; w = w->next)
    if (size_at(w) < size_at(shortest)) shortest = w;
  return shortest;
}

/* A turn is over: the next one's begins. */
static void pass_on(LongTexts *all) {
  all->taken = all->line.count > 0;
  if (all->taken) waiters_wake(&all->line, choose(all));
}

static void leave(LongText *text) {
  if (text->has_turn) pass_on(text->all);
  text->has_turn = false;
}

static int l_text_gc(lua_State *L) {
  leave(lua_touserdata(L, 1));
  return 0;
}

/* Pushes what is wrong with a text that is not JSON. */
static JsonProgress fail(lua_State *L, const LongText *text, const JsonError *error) {
  if (text->n) {
    schema_error_push_json(L, error->offset, error->message);
  } else {
    json_error_return(L, error);
    lua_remove(L, -2); /* the nil */
  }
  return JSON_FAILED;
}

static JsonProgress refuse(lua_State *L, LongText *text) {
  leave(text);
  lua_error(L);
  return JSON_FAILED;
}

static JsonProgress step(lua_State *L, LongText *text) {
  JsonError error;
  JsonProgress progress;
  switch (text->phase) {
  case COUNTING:
    if (text->limit.counted || json_may_exceed(text->size, text->limit.max_values)) {
      if (!json_count_go(&text->count, COUNT_STEP, &error)) return fail(L, text, &error);
      if (text->count.p < text->count.end) return JSON_MORE;
      if (text->limit.counted && !text->limit.counted(L, text->count.count)) return refuse(L, text);
    }
    json_steps_begin(&text->json, L, text->count.start, text->size);
    text->phase = DECODING;
    return JSON_MORE;
  case DECODING:
    progress = json_steps_go(&text->json, &error);
    if (progress == JSON_FAILED) return fail(L, text, &error);
    if (progress == JSON_MORE || !text->n) return progress;
    schema_steps_begin(text->schema, L, text->n, text->table, lua_gettop(L), text->mode,
                       text->size);
    text->phase = CHECKING;
    return JSON_MORE;
  case CHECKING:
    break;
  }
  return schema_steps_go(text->schema);
}

static int go_on(lua_State *L, LongText *text);

static void turn_cancel(Task *t, void *op) {
  waiters_leave(&((LongText *)op)->all->line, &t->waiter);
}

static int turn_finish(lua_State *L, Task *t, void *op) {
  (void)t;
  LongText *text = op;
  text->has_turn = true;
  return go_on(L, text);
}

/* Cancelled after it was woken, in its turn. */
static bool turn_revoke(Task *t, void *op) {
  (void)t;
  LongText *text = op;
  text->has_turn = true;
  leave(text);
  return true;
}

static const WaitType turn_wait = {.name = "its turn to decode a long text of JSON",
                                   .cancel = turn_cancel,
                                   .finish = turn_finish,
                                   .revoke = turn_revoke};

static int go_on(lua_State *L, LongText *text) {
  for (;;) {
    JsonProgress progress = step(L, text);
    if (progress != JSON_MORE) {
      leave(text);
      return text->done(L, progress == JSON_DONE);
    }
    if (wait_may_give_way(L)) return wait_give_way(L, &turn_wait, text);
  }
}

/* Begins, or waits until those before it are over. */
static int enter(lua_State *L, LongText *text) {
  LongTexts *all = text->all;
  if (all->taken && wait_may_give_way(L)) {
    Task *t = ml_wait_enter(L, "ml.json.decode");
    waiters_join(&all->line, &t->waiter);
    return ml_wait_suspend(L, t, &turn_wait, text);
  }
  text->has_turn = !all->taken;
  all->taken = true;
  return go_on(L, text);
}

int json_long_decode(lua_State *L, const JsonLongLimit *limit, const SchemaNode *n, int table,
                     SchemaMode mode, JsonLongDone done) {
  size_t size;
  const char *bytes = lua_tolstring(L, -1, &size);
  LongText *text = lua_newuserdatauv(L, sizeof *text + (n ? sizeof *text->schema : 0), 0);
  text->all = texts_of(L);
  text->has_turn = false;
  text->phase = COUNTING;
  text->n = n;
  text->table = table;
  text->mode = mode;
  text->size = size;
  text->done = done;
  text->limit = *limit;
  json_count_begin(&text->count, bytes, size, limit->max_values);
  if (luaL_newmetatable(L, LONG_TEXT)) {
    lua_pushcfunction(L, l_text_gc);
    lua_setfield(L, -2, "__gc");
  }
  lua_setmetatable(L, -2);
  return enter(L, text);
}
