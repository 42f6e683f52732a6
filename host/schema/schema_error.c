#include "schema/schema_error.h"

#include "base/utf8.h"
#include "json/json.h"
#include "json/json_number.h"

#include <lauxlib.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* The messages that depend on nothing, and those with a detail in place of the "%s"; by type. */
static const struct {
  const char *type, *text;
} messages[] = {
    {"bool_parsing", "Input should be a valid boolean, unable to interpret input"},
    {"bool_type", "Input should be a valid boolean"},
    {"bytes_type", "Input should be a valid bytes"},
    {"date_from_datetime_parsing", "Input should be a valid date or datetime, %s"},
    {"date_type", "Input should be a valid date"},
    {"datetime_from_date_parsing", "Input should be a valid datetime or date, %s"},
    {"datetime_type", "Input should be a valid datetime"},
    {"decimal_parsing", "Input should be a valid decimal"},
    {"decimal_type", "Decimal input should be an integer, float, string or Decimal object"},
    {"dict_type", "Input should be a valid dictionary"},
    {"extra_forbidden", "Extra inputs are not permitted"},
    {"finite_number", "Input should be a finite number"},
    {"float_parsing", "Input should be a valid number, unable to parse string as a number"},
    {"float_type", "Input should be a valid number"},
    {"int_from_float", "Input should be a valid integer, got a number with a fractional part"},
    {"int_parsing", "Input should be a valid integer, unable to parse string as an integer"},
    {"int_parsing_size", "Unable to parse input string as an integer, exceeded maximum size"},
    {"int_type", "Input should be a valid integer"},
    {"ip_any_address", "value is not a valid IPv4 or IPv6 address"},
    {"list_type", "Input should be a valid list"},
    {"missing", "Field required"},
    {"model_attributes_type",
     "Input should be a valid dictionary or object to extract fields from"},
    {"recursion_loop", "Input is nested too deeply, or takes too long to check"},
    {"string_type", "Input should be a valid string"},
    {"string_unicode", "Input should be a valid string, unable to parse raw data as a unicode "
                       "string"},
    {"time_delta_parsing", "Input should be a valid timedelta, %s"},
    {"time_delta_type", "Input should be a valid timedelta"},
    {"time_parsing", "Input should be in a valid time format, %s"},
    {"time_type", "Input should be a valid time"},
    {"timezone_aware", "Input should have timezone info"},
    {"tuple_type", "Input should be a valid tuple"},
    {"unique_items", "List items should be unique"},
    {"url_parsing", "Input should be a valid URL, %s"},
    {"url_scheme", "URL scheme should be %s"},
    {"url_type", "URL input should be a string or URL"},
    {"uuid_parsing", "Input should be a valid UUID, %s"},
    {"uuid_type", "UUID input should be a string, bytes or UUID object"},
    {"value_error", "%s"},
};

static const char *message_of(const char *type) {
  for (size_t low = 0, high = sizeof messages / sizeof *messages; low < high;) {
    size_t middle = (low + high) / 2;
    int order = strcmp(messages[middle].type, type);
    if (order == 0) return messages[middle].text;
    if (order < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return "Input should be valid";
}

/* Has the value about `*left` bytes as JSON, or less? A large one is not looked at as a whole. */
static bool is_small(lua_State *L, int index, long *left) {
  switch (lua_type(L, index)) {
  case LUA_TSTRING:
    *left -= (long)lua_rawlen(L, index) + 3;
    return *left >= 0;
  case LUA_TNUMBER:
    *left -= 8;
    return *left >= 0 && isfinite(lua_tonumber(L, index));
  case LUA_TBOOLEAN:
  case LUA_TLIGHTUSERDATA:
    *left -= 6;
    return *left >= 0;
  case LUA_TTABLE:
    break;
  default:
    return false;
  }
  int top = lua_gettop(L);
  *left -= 2;
  if (*left < 0 || !lua_checkstack(L, 4)) return false;
  lua_pushnil(L);
  while (lua_next(L, index)) {
    if (lua_type(L, top + 1) == LUA_TSTRING) *left -= (long)lua_rawlen(L, top + 1) + 3;
    if (*left < 0 || !is_small(L, top + 2, left)) {
      lua_settop(L, top);
      return false;
    }
    lua_settop(L, top + 1);
  }
  return true;
}

/* Pushes the value at `index`, or as much of it as an answer should repeat. */
static void push_input(lua_State *L, int index) {
  size_t size;
  if (lua_isnone(L, index) || lua_isnil(L, index)) {
    json_push_null(L);
  } else if (lua_type(L, index) == LUA_TSTRING) {
    const char *s = lua_tolstring(L, index, &size);
    if (size <= SCHEMA_INPUT_MAX) {
      lua_pushvalue(L, index);
    } else {
      lua_pushlstring(L, s, utf8_cut(s, size, SCHEMA_INPUT_MAX));
    }
  } else if (lua_type(L, index) == LUA_TTABLE) {
    long left = SCHEMA_INPUT_MAX;
    if (is_small(L, lua_absindex(L, index), &left))
      lua_pushvalue(L, index);
    else
      lua_pushliteral(L, "...");
  } else if (lua_type(L, index) == LUA_TNUMBER && !isfinite(lua_tonumber(L, index))) {
    lua_pushfstring(L, "%f", lua_tonumber(L, index)); /* JSON has no such number */
  } else if (lua_type(L, index) == LUA_TFUNCTION || lua_type(L, index) == LUA_TTHREAD ||
             lua_type(L, index) == LUA_TUSERDATA) {
    lua_pushstring(L, luaL_typename(L, index));
  } else {
    lua_pushvalue(L, index);
  }
}

static void push_location(lua_State *L, const SchemaStep *up) {
  int n = 0;
  for (const SchemaStep *s = up; s; s = s->up) n++;
  lua_createtable(L, n, 0);
  for (const SchemaStep *s = up; s; s = s->up, n--) {
    if (s->key)
      lua_pushlstring(L, s->key, s->size);
    else
      lua_pushinteger(L, s->index);
    lua_rawseti(L, -2, n);
  }
  if (!up) json_set_mark(L, -1, JSON_ARRAY);
}

/* Makes the error of the message, and of the ctx, on the top of L (nil for none). Pops both. */
static bool add(SchemaWalk *w, const SchemaNode *n, int index, const SchemaStep *up,
                const char *type) {
  lua_State *L = w->L;
  int ctx = lua_gettop(L), message = ctx - 1;
  lua_createtable(L, 0, 5);
  lua_pushstring(L, type);
  lua_setfield(L, -2, "type");
  push_location(L, up);
  lua_setfield(L, -2, "loc");
  lua_pushvalue(L, message);
  lua_setfield(L, -2, "msg");
  if (!n->is_secret) {
    push_input(L, index);
    lua_setfield(L, -2, "input");
  }
  if (!lua_isnil(L, ctx)) {
    lua_pushvalue(L, ctx);
    lua_setfield(L, -2, "ctx");
  }
  lua_rawseti(L, w->errors, ++w->count);
  lua_settop(L, message - 1);
  return false;
}

/* Is there an error to be made? */
static bool wanted(SchemaWalk *w) {
  w->build = false;
  if (!w->errors || w->count >= SCHEMA_ERRORS_MAX) return false;
  luaL_checkstack(w->L, 16, NULL);
  return true;
}

/* The text of a limit as Pydantic has it in messages: without ".0". */
static void number_text(char *out, size_t room, const SchemaBound *b) {
  if (b->is_integer)
    snprintf(out, room, "%lld", (long long)b->integer);
  else if (b->number == floor(b->number) && fabs(b->number) < 1e15)
    snprintf(out, room, "%.0f", b->number);
  else
    out[json_number_put_double(out, b->number)] = 0;
}

bool schema_error_bound(SchemaWalk *w, const SchemaNode *n, int index, const SchemaStep *up,
                        const char *type, const SchemaBound *bound) {
  static const struct {
    const char *type, *key, *text;
  } kinds[] = {{"greater_than", "gt", "greater than"},
               {"greater_than_equal", "ge", "greater than or equal to"},
               {"less_than", "lt", "less than"},
               {"less_than_equal", "le", "less than or equal to"},
               {"multiple_of", "multiple_of", "a multiple of"}};
  if (!wanted(w)) return false;
  lua_State *L = w->L;
  char number[NUMBER_TEXT_MAX];
  number_text(number, sizeof number, bound);
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    if (strcmp(kinds[i].type, type) != 0) continue;
    lua_pushfstring(L, "Input should be %s %s", kinds[i].text, number);
    lua_createtable(L, 0, 1);
    if (bound->is_integer && n->kind != SCHEMA_NUMBER)
      lua_pushinteger(L, (lua_Integer)bound->integer);
    else
      lua_pushnumber(L, bound->number);
    lua_setfield(L, -2, kinds[i].key);
  }
  return add(w, n, index, up, type);
}

bool schema_error_size(SchemaWalk *w, const SchemaNode *n, int index, const SchemaStep *up,
                       const char *type, const char *what, size_t actual) {
  if (!wanted(w)) return false;
  lua_State *L = w->L;
  bool is_short = strstr(type, "short");
  unsigned limit = is_short ? n->size_min : n->size_max;
  const char *plural = limit == 1 ? "" : "s", *amount = is_short ? "least" : "most";
  if (what)
    lua_pushfstring(L, "%s should have at %s %d item%s after validation, not %I", what, amount,
                    (int)limit, plural, (LUAI_UACINT)actual);
  else
    lua_pushfstring(L, "%s should have at %s %d %s%s", n->kind == SCHEMA_BYTES ? "Data" : "String",
                    amount, (int)limit, n->kind == SCHEMA_BYTES ? "byte" : "character", plural);
  lua_createtable(L, 0, 3);
  lua_pushinteger(L, limit);
  lua_setfield(L, -2, is_short ? "min_length" : "max_length");
  if (what) {
    lua_pushstring(L, what);
    lua_setfield(L, -2, "field_type");
    lua_pushinteger(L, (lua_Integer)actual);
    lua_setfield(L, -2, "actual_length");
  }
  return add(w, n, index, up, type);
}

bool schema_error_text(SchemaWalk *w, const SchemaNode *n, int index, const SchemaStep *up,
                       const char *type, const char *message) {
  if (!wanted(w)) return false;
  lua_pushstring(w->L, message);
  lua_pushnil(w->L);
  return add(w, n, index, up, type);
}

/* Pushes a table with the field. */
static void push_ctx(lua_State *L, const char *key, const char *value) {
  lua_createtable(L, 0, 2);
  lua_pushstring(L, value);
  lua_setfield(L, -2, key);
}

/* The messages that show the node or the input. Pushes the message and the ctx. */
static bool push_special(SchemaWalk *w, const SchemaNode *n, int index, const char *type) {
  lua_State *L = w->L;
  if (strcmp(type, "literal_error") == 0) {
    lua_pushfstring(L, "Input should be %s", n->expected);
    push_ctx(L, "expected", n->expected);
  } else if (strcmp(type, "string_pattern_mismatch") == 0) {
    const char *pattern = n->pattern_text ? n->pattern_text : n->match;
    lua_pushfstring(L, "String should match pattern '%s'", pattern);
    push_ctx(L, "pattern", pattern);
  } else if (strcmp(type, "union_tag_not_found") == 0) {
    lua_pushfstring(L, "Unable to extract tag using discriminator '%s'", n->tag);
    lua_pushfstring(L, "'%s'", n->tag);
    push_ctx(L, "discriminator", lua_tostring(L, -1));
    lua_remove(L, -2);
  } else if (strcmp(type, "union_tag_invalid") == 0) {
    lua_pushlstring(L, n->tag, n->tag_size);
    lua_rawget(L, index);
    size_t size;
    int found = lua_type(L, -1);
    if (found == LUA_TSTRING || found == LUA_TNUMBER || found == LUA_TBOOLEAN)
      luaL_tolstring(L, -1, NULL);
    else
      lua_pushstring(L, luaL_typename(L, -1));
    const char *tag = lua_tolstring(L, -1, &size);
    if (size > SCHEMA_INPUT_MAX) tag = "...";
    lua_pushfstring(L,
                    "Input tag '%s' found using '%s' does not match any of the expected tags: %s",
                    tag, n->tag, n->expected);
    push_ctx(L, "tag", tag);
    lua_pushfstring(L, "'%s'", n->tag);
    lua_setfield(L, -2, "discriminator");
    lua_pushstring(L, n->expected);
    lua_setfield(L, -2, "expected_tags");
    lua_remove(L, -3);
    lua_remove(L, -3);
  } else {
    return false;
  }
  return true;
}

bool schema_error_add(SchemaWalk *w, const SchemaNode *n, int index, const SchemaStep *up,
                      const char *type, const char *detail) {
  if (!wanted(w)) return false;
  lua_State *L = w->L;
  if (push_special(w, n, index, type)) return add(w, n, index, up, type);
  const char *text = message_of(type);
  if (!strchr(text, '%')) {
    lua_pushstring(L, text);
    lua_pushnil(L);
  } else {
    lua_pushfstring(L, text, detail ? detail : "it is malformed");
    const char *key = strcmp(type, "value_error") == 0  ? "reason"
                      : strcmp(type, "url_scheme") == 0 ? "expected_schemes"
                                                        : "error";
    push_ctx(L, key, detail ? detail : "");
  }
  return add(w, n, index, up, type);
}

void schema_error_forget(SchemaWalk *w, int count) {
  for (; w->count > count; w->count--) {
    lua_pushnil(w->L);
    lua_rawseti(w->L, w->errors, w->count);
  }
}

void schema_error_push_json(lua_State *L, size_t offset, const char *reason) {
  luaL_checkstack(L, 8, NULL);
  lua_createtable(L, 1, 0);
  lua_createtable(L, 0, 5);
  lua_pushliteral(L, "json_invalid");
  lua_setfield(L, -2, "type");
  lua_createtable(L, 1, 0);
  lua_pushinteger(L, (lua_Integer)offset);
  lua_rawseti(L, -2, 1);
  json_set_mark(L, -1, JSON_ARRAY);
  lua_setfield(L, -2, "loc");
  lua_pushliteral(L, "JSON decode error");
  lua_setfield(L, -2, "msg");
  lua_createtable(L, 0, 0);
  lua_setfield(L, -2, "input");
  push_ctx(L, "error", reason);
  lua_setfield(L, -2, "ctx");
  lua_rawseti(L, -2, 1);
}
