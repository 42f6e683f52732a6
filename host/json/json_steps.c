/* The course of json_decoder_value.c without its recursion, so that it can stop between two values.
   Values other than lists and objects are read by that file. */
#include "json/json_steps.h"

void json_steps_begin(JsonSteps *s, lua_State *L, const char *text, size_t size) {
  s->base = lua_gettop(L);
  s->d =
      (Decoder){.L = L, .start = text, .end = text + size, .array_mark = s->base + 1, .depth = 0};
  s->d.p = json_decoder_skip_space(text, s->d.end);
  if (!lua_checkstack(L, JSON_STACK_ROOM)) json_decoder_out_of_memory(&s->d);
  lua_pushnil(L); /* instead of the mark */
}

/* At a bracket or a brace. Where this would be too deep, there is no `list`. */
static bool open(Decoder *d, JsonOpen *list) {
  bool is_object = *d->p == '{';
  if (!json_decoder_enter(d)) return false;
  *list = (JsonOpen){.table = lua_gettop(d->L), .is_object = is_object};
  return true;
}

/* Behind the last element or member, all of which are in the table or on the stack. */
static void close_list(Decoder *d, const JsonOpen *list) {
  if (list->is_object) {
    if (list->count < JSON_PENDING_MAX / 2)
      json_decoder_collect_object(d->L, list->table, (int)list->count, (int)list->count);
    return;
  }
  if (list->count < JSON_PENDING_MAX) json_decoder_collect(d->L, list->table, (int)list->count);
  json_decoder_mark_array(d, list->table);
}

/* Takes the element or the member on the top of the stack. */
static void add(lua_State *L, JsonOpen *list) {
  lua_Integer most = list->is_object ? JSON_PENDING_MAX / 2 : JSON_PENDING_MAX;
  if (++list->count < most) return;
  if (list->count > most && list->is_object)
    lua_rawset(L, list->table);
  else if (list->count > most)
    lua_rawseti(L, list->table, list->count);
  else if (list->is_object)
    json_decoder_collect_object(L, list->table, (int)most, (int)most * 2);
  else
    json_decoder_collect(L, list->table, (int)most);
}

/* After a value: takes it into its list, and closes those that end here. 1: another element comes,
   0: the outermost value is there, -1: failed. */
static int go_on(Decoder *d, JsonOpen *lists) {
  while (d->depth > 0) {
    JsonOpen *list = &lists[d->depth - 1];
    add(d->L, list);
    int more = json_decoder_next(d, list->is_object ? '}' : ']');
    if (more) return more;
    close_list(d, list);
  }
  return 0;
}

/* At an element or a member: reads what comes before its value. */
static bool before_value(Decoder *d, const JsonOpen *list) {
  bool has_room = list->count % (list->is_object ? 8 : 16) != 0;
  if (!has_room && !lua_checkstack(d->L, JSON_STACK_ROOM)) return json_decoder_out_of_memory(d);
  return !list->is_object || json_decoder_key(d, list->count == 0);
}

static JsonProgress step(JsonSteps *s) {
  Decoder *d = &s->d;
  for (int left = JSON_STEP; left > 0; left--) {
    if (d->depth > 0 && !before_value(d, &s->open[d->depth - 1])) return JSON_FAILED;
    if (d->p < d->end && (*d->p == '[' || *d->p == '{')) {
      JsonOpen *list = &s->open[d->depth];
      if (!open(d, list)) return JSON_FAILED;
      if (d->p >= d->end || *d->p != (list->is_object ? '}' : ']')) continue;
      d->p++;
      d->depth--;
      close_list(d, list);
    } else if (!json_decoder_value(d)) {
      return JSON_FAILED;
    }
    int more = go_on(d, s->open);
    if (more < 0) return JSON_FAILED;
    if (more == 0) return JSON_DONE;
  }
  return JSON_MORE;
}

JsonProgress json_steps_go(JsonSteps *s, JsonError *error) {
  Decoder *d = &s->d;
  d->error = error;
  JsonProgress progress = step(s);
  if (progress == JSON_DONE) {
    d->p = json_decoder_skip_space(d->p, d->end);
    if (d->p < d->end) {
      json_decoder_unexpected(d, d->p, "the end of the text");
      progress = JSON_FAILED;
    }
  }
  if (progress == JSON_DONE) lua_replace(d->L, s->base + 1);
  if (progress == JSON_FAILED) lua_settop(d->L, s->base);
  return progress;
}
