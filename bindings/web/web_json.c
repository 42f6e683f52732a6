#include "bindings/web/web_json.h"

#include "core/wait.h"
#include "schema/schema_error.h"
#include "schema/schema_steps.h"
#include "json/json_steps.h"

/* Bytes in which values are counted at a time: about a millisecond's work. */
#define COUNT_STEP (1 << 20)

typedef enum Phase { COUNTING, DECODING, CHECKING } Phase;

/* A userdata on the stack, above the text. */
typedef struct LongText {
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
} LongText;

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

static void nothing_to_undo(Task *t, void *op) {
  (void)t;
  (void)op;
}

static bool may_stop(Task *t, void *op) {
  (void)t;
  (void)op;
  return true;
}

static const WaitType turn_wait = {.name = "its turn to decode more of a body of JSON",
                                   .cancel = nothing_to_undo,
                                   .finish = go_on,
                                   .revoke = may_stop};

static int go_on(lua_State *L, Task *t, void *op) {
  (void)t;
  LongText *text = op;
  for (;;) {
    JsonProgress progress = step(L, text);
    if (progress != JSON_MORE) return text->done(L, progress == JSON_DONE);
    if (wait_may_give_way(L)) return wait_give_way(L, &turn_wait, text);
  }
}

int web_json_decode(lua_State *L, uint64_t max_values, const SchemaNode *n, int table,
                    SchemaMode mode, WebJsonDone done) {
  size_t size;
  const char *bytes = lua_tolstring(L, -1, &size);
  LongText *text = lua_newuserdatauv(L, sizeof *text + (n ? sizeof *text->schema : 0), 0);
  text->phase = COUNTING;
  text->n = n;
  text->table = table;
  text->mode = mode;
  text->size = size;
  text->max_values = max_values;
  text->done = done;
  json_count_begin(&text->count, bytes, size);
  return go_on(L, NULL, text);
}
