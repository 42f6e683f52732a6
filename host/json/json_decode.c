/* JSON text to Lua values. */
#include "core/error.h"
#include "json/json_decoder.h"

/* Behind the string that begins at `p`. */
static const char *skip_string(const char *p, const char *end) {
  for (p++; p < end && *p != '"'; p++)
    if (*p == '\\') p++;
  return p < end ? p + 1 : end;
}

void json_count_begin(JsonCount *c, const char *text, size_t size, uint64_t most) {
  const char *end = text + size;
  *c = (JsonCount){.start = text, .p = text, .end = end, .count = 1, .most = most};
}

bool json_count_go(JsonCount *c, size_t bytes, JsonError *error) {
  const char *p = c->p, *end = c->end;
  const char *stop = (size_t)(end - p) > bytes ? p + bytes : end;
  uint64_t count = c->count;
  while (p < stop) {
    if (*p == '"') {
      p = skip_string(p, end);
      continue;
    }
    bool opens = *p == '[' || *p == '{';
    if (opens) {
      const char *first = json_decoder_skip_space(p + 1, end);
      opens = first < end && *first != ']' && *first != '}';
    }
    if ((opens || *p == ',') && ++count > c->most) {
      Decoder d = {.start = c->start, .p = p, .end = end, .error = error};
      json_decoder_fail(&d, p, "more than %llu values (max_values)", (unsigned long long)c->most);
      error->is_too_large = true;
      return false;
    }
    p++;
  }
  c->p = p;
  c->count = count;
  return true;
}

bool json_count_within(const char *text, size_t size, uint64_t most, JsonError *error) {
  if (!json_may_exceed(size, most)) return true;
  JsonCount count;
  json_count_begin(&count, text, size, most);
  return json_count_go(&count, size, error);
}

bool json_decode(lua_State *L, const char *text, size_t size, JsonError *error) {
  int top = lua_gettop(L);
  if (!text) text = ""; /* an empty buffer's */
  Decoder d = {.L = L, .start = text, .end = text + size, .error = error, .array_mark = top + 1};
  d.p = json_decoder_skip_space(text, d.end);
  if (!lua_checkstack(L, JSON_STACK_ROOM)) return json_decoder_out_of_memory(&d);
  lua_pushnil(L); /* instead of the mark */
  bool ok = json_decoder_value(&d);
  if (ok) {
    d.p = json_decoder_skip_space(d.p, d.end);
    if (d.p < d.end) ok = json_decoder_unexpected(&d, d.p, "the end of the text");
  }
  if (ok)
    lua_replace(L, top + 1);
  else
    lua_settop(L, top);
  return ok;
}

int json_decode_return(lua_State *L, const char *text, size_t size) {
  JsonError error;
  if (json_decode(L, text, size, &error)) return 1;
  return json_error_return(L, &error);
}

int json_error_return(lua_State *L, const JsonError *error) {
  ml_error_return(L, "json", error->is_too_large ? "too_large" : NULL, "%s", error->message);
  lua_pushinteger(L, (lua_Integer)error->line);
  lua_setfield(L, -2, "line");
  lua_pushinteger(L, (lua_Integer)error->column);
  lua_setfield(L, -2, "column");
  return 2;
}
