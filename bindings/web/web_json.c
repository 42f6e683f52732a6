#include "bindings/web/web_json.h"

#include "core/wait.h"
#include "schema/schema_error.h"
#include "schema/schema_steps.h"
#include "json/json_steps.h"

/* Bytes in which values are counted at a time: about a millisecond's work. */
#define COUNT_STEP (1 << 20)

typedef enum Phase { COUNTING, DECODING, CHECKING } Phase;

#define LONG_TEXT "moonloop.web.core.long_text"

typedef struct LongText LongText;

/* One per Lua state, in the registry: only one long text at a time is being decoded, the others
   wait in order. Half-made values of many clients would fill the memory. */
typedef struct LongTexts {
  LongText *current;      /* or NULL */
  LongText *first, *last; /* those that wait */
} LongTexts;

static const char texts_key; /* its address is the registry's key of the LongTexts */

/* A userdata on the stack, above the text. */
struct LongText {
  LongTexts *all;
  LongText *next, *before; /* while it waits */
  bool waits;
  Waker waker;
  Phase phase;
  const SchemaNode *n; /* NULL: no schema */
  int table;
  SchemaMode mode;
  size_t size;
  uint64_t max_values;
  WebJsonDone done;
  JsonCount count;
  JsonSteps json;
  SchemaSteps schema[]; /* one, or none */
};

static LongTexts *texts_of(lua_State *L) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &texts_key) == LUA_TNIL) {
    LongTexts *made = lua_newuserdatauv(L, sizeof *made, 0);
    *made = (LongTexts){0};
    lua_rawsetp(L, LUA_REGISTRYINDEX, &texts_key);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &texts_key);
    lua_remove(L, -2);
  }
  LongTexts *all = lua_touserdata(L, -1);
  lua_pop(L, 1);
  return all;
}

static void unlink_waiting(LongText *text) {
  LongTexts *all = text->all;
  *(text->before ? &text->before->next : &all->first) = text->next;
  *(text->next ? &text->next->before : &all->last) = text->before;
  text->waits = false;
}

/* It is over: the next one continues. */
static void leave(LongText *text) {
  LongTexts *all = text->all;
  if (text->waits) unlink_waiting(text);
  if (all->current != text) return;
  LongText *next = all->current = all->first;
  if (!next) return;
  unlink_waiting(next);
  ml_wait_wake(next->waker);
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

static JsonProgress step(lua_State *L, LongText *text) {
  JsonError error;
  JsonProgress progress;
  switch (text->phase) {
  case COUNTING:
    if (!json_count_go(&text->count, COUNT_STEP, text->max_values, &error))
      return fail(L, text, &error);
    if (text->count.p < text->count.end) return JSON_MORE;
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

static int go_on(lua_State *L, Task *t, void *op);

static void turn_cancel(Task *t, void *op) {
  (void)t;
  leave(op);
}

static bool turn_revoke(Task *t, void *op) {
  (void)t;
  leave(op);
  return true;
}

static const WaitType turn_wait = {.name = "its turn to decode a long body of JSON",
                                   .cancel = turn_cancel,
                                   .finish = go_on,
                                   .revoke = turn_revoke};

static int go_on(lua_State *L, Task *t, void *op) {
  (void)t;
  LongText *text = op;
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
  if (!all->current) all->current = text;
  if (all->current == text || !wait_may_give_way(L)) return go_on(L, NULL, text);
  Task *t = ml_wait_enter(L, "req:json");
  text->waker = ml_wait_waker(t);
  text->waits = true;
  text->before = all->last;
  *(all->last ? &all->last->next : &all->first) = text;
  all->last = text;
  return ml_wait_suspend(L, t, &turn_wait, text);
}

int web_json_decode(lua_State *L, uint64_t max_values, const SchemaNode *n, int table,
                    SchemaMode mode, WebJsonDone done) {
  size_t size;
  const char *bytes = lua_tolstring(L, -1, &size);
  LongText *text = lua_newuserdatauv(L, sizeof *text + (n ? sizeof *text->schema : 0), 0);
  text->all = texts_of(L);
  text->next = text->before = NULL;
  text->waits = false;
  text->phase = COUNTING;
  text->n = n;
  text->table = table;
  text->mode = mode;
  text->size = size;
  text->max_values = max_values;
  text->done = done;
  json_count_begin(&text->count, bytes, size);
  if (luaL_newmetatable(L, LONG_TEXT)) {
    lua_pushcfunction(L, l_text_gc);
    lua_setfield(L, -2, "__gc");
  }
  lua_setmetatable(L, -2);
  return enter(L, text);
}
