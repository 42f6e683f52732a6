#include "bindings/log/log_values.h"

#include "base/secret_name.h"
#include "base/utf8.h"
#include "core/error.h"
#include "core/error_text.h"
#include "log/log_format.h"
#include "json/json.h"

#include <lauxlib.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
  DEPTH = 4,                    /* of tables in tables */
  ITEMS = 50,                   /* of each table */
  NESTED_TEXT = 1024,           /* bytes of a text in a table */
  NESTED_MAX = LOG_MESSAGE_MAX, /* bytes of a table, after which items are left out */
  SLOTS = 8                     /* of the stack, besides the keys */
};

/* --- keys in order --- */

typedef struct Key {
  const char *text;
  size_t len;
  int at; /* its place on the stack */
} Key;

static int compare_keys(const void *a, const void *b) {
  const Key *x = a, *y = b;
  size_t n = x->len < y->len ? x->len : y->len;
  int order = memcmp(x->text, y->text, n);
  return order ? order : x->len < y->len ? -1 : x->len > y->len;
}

/* Pushes up to `most` string keys of the table at `index`, sorted into `keys`. The stack keeps
   them, whatever __tostring does to the table. */
static int push_keys(lua_State *L, int index, Key *keys, int most) {
  int n = 0;
  if (!lua_checkstack(L, most + SLOTS)) return 0;
  lua_pushnil(L);
  while (n < most && lua_next(L, index)) {
    lua_pop(L, 1);
    if (lua_type(L, -1) != LUA_TSTRING) continue;
    lua_pushvalue(L, -1); /* the one below stays there, this is for lua_next */
    keys[n].text = lua_tolstring(L, -1, &keys[n].len);
    keys[n].at = lua_gettop(L) - 1;
    n++;
  }
  if (n == most) lua_pop(L, 1); /* the key for lua_next */
  qsort(keys, (size_t)n, sizeof *keys, compare_keys);
  return n;
}

/* --- values in tables, as JSON --- */

static bool add(Buffer *out, const char *text) { return buffer_add(out, text, strlen(text)); }

static bool add_number(lua_State *L, int index, Buffer *out) {
  if (lua_isinteger(L, index)) return buffer_printf(out, LUA_INTEGER_FMT, lua_tointeger(L, index));
  lua_Number x = lua_tonumber(L, index);
  if (isnan(x) || isinf(x)) return add(out, isnan(x) ? "\"nan\"" : x > 0 ? "\"inf\"" : "\"-inf\"");
  return buffer_printf(out, "%.14g", x);
}

static bool add_json(lua_State *L, int index, Buffer *out, int depth, size_t end);

/* Items after the end of what may be shown. */
static bool add_more(Buffer *out, bool is_first) {
  return add(out, is_first ? "\"...\"" : ",\"...\"");
}

static bool add_list(lua_State *L, int index, Buffer *out, int depth, size_t end) {
  lua_Integer n = (lua_Integer)lua_rawlen(L, index);
  bool ok = buffer_add_char(out, '[');
  for (lua_Integer i = 1; ok && i <= n; i++) {
    if (i > ITEMS || out->len > end)
      return ok && add_more(out, i == 1) && buffer_add_char(out, ']');
    lua_rawgeti(L, index, i);
    ok = (i == 1 || buffer_add_char(out, ',')) && add_json(L, lua_gettop(L), out, depth - 1, end);
    lua_pop(L, 1);
  }
  return ok && buffer_add_char(out, ']');
}

static bool add_object(lua_State *L, int index, Buffer *out, int depth, size_t end) {
  Key keys[ITEMS];
  int top = lua_gettop(L), n = push_keys(L, index, keys, ITEMS);
  bool ok = buffer_add_char(out, '{');
  for (int i = 0; ok && i < n && out->len <= end; i++) {
    lua_pushvalue(L, keys[i].at);
    lua_rawget(L, index);
    ok = (i == 0 || buffer_add_char(out, ',')) &&
         log_format_json_string(out, keys[i].text, keys[i].len, NESTED_TEXT) &&
         buffer_add_char(out, ':') &&
         (secret_name_is(keys[i].text, keys[i].len)
              ? add(out, "\"" SECRET_NAME_SHOWN "\"")
              : add_json(L, lua_gettop(L), out, depth - 1, end));
    lua_pop(L, 1);
  }
  lua_settop(L, top);
  return ok && buffer_add_char(out, '}');
}

static bool add_text(lua_State *L, int index, Buffer *out) {
  size_t n;
  error_text_push(L, index);
  const char *text = lua_tolstring(L, -1, &n);
  bool ok = log_format_json_string(out, text, n, NESTED_TEXT);
  lua_pop(L, 1);
  return ok;
}

static bool is_list(lua_State *L, int index) {
  JsonMark mark = json_get_mark(L, index);
  return mark == JSON_ARRAY || (mark == JSON_UNMARKED && lua_rawlen(L, index) > 0);
}

static bool add_table(lua_State *L, int index, Buffer *out, int depth, size_t end) {
  if (!lua_checkstack(L, SLOTS)) return add(out, "\"...\"");
  if (luaL_getmetafield(L, index, "__tostring") != LUA_TNIL) {
    lua_pop(L, 1);
    if (!error_is(L, index)) return add_text(L, index, out);
  }
  if (depth == 0) return add(out, "\"...\"");
  return (is_list(L, index) ? add_list : add_object)(L, index, out, depth, end);
}

/* `index` is absolute; `end`: where items are left out. */
static bool add_json(lua_State *L, int index, Buffer *out, int depth, size_t end) {
  size_t n;
  switch (lua_type(L, index)) {
  case LUA_TNIL:
    return add(out, "null");
  case LUA_TBOOLEAN:
    return add(out, lua_toboolean(L, index) ? "true" : "false");
  case LUA_TNUMBER:
    return add_number(L, index, out);
  case LUA_TSTRING: {
    const char *text = lua_tolstring(L, index, &n);
    return log_format_json_string(out, text, n, NESTED_TEXT);
  }
  case LUA_TTABLE:
    return add_table(L, index, out, depth, end);
  default:
    return json_is_null(L, index) ? add(out, "null") : add_text(L, index, out);
  }
}

/* --- fields --- */

/* Begins a field, whose value is what is added to the texts until it ends. */
static struct LogValue *begin_field(LogValues *v, const char *name, size_t n, LogFieldKind kind) {
  if (v->n == LOG_FIELDS_MAX) return NULL;
  struct LogValue *field = &v->list[v->n];
  *field = (struct LogValue){.name = v->texts.len, .kind = kind};
  if (!buffer_add(&v->texts, name, n)) return NULL;
  field->name_len = v->texts.len - field->name;
  field->value = v->texts.len;
  return field;
}

static void end_field(LogValues *v, struct LogValue *field) {
  field->value_len = v->texts.len - field->value;
  v->n++;
}

static bool add_text_field(LogValues *v, const char *name, size_t n, LogFieldKind kind,
                           const char *text, size_t len) {
  if (len > LOG_BELOW_MAX) len = LOG_BELOW_MAX + 1; /* is cut where it is shown */
  struct LogValue *field = begin_field(v, name, n, kind);
  if (!field || !buffer_add(&v->texts, text, len)) return v->n == LOG_FIELDS_MAX;
  end_field(v, field);
  return true;
}

/* Lines that belong below the message. */
static bool is_below(const char *name, size_t n) { return n == 9 && !memcmp(name, "traceback", 9); }

/* The value on the top of L. */
static bool add_field(lua_State *L, LogValues *v, const char *name, size_t n) {
  int index = lua_gettop(L);
  if (secret_name_is(name, n))
    return add_text_field(v, name, n, LOG_FIELD_TEXT, SECRET_NAME_SHOWN,
                          sizeof SECRET_NAME_SHOWN - 1);
  if (lua_type(L, index) == LUA_TSTRING) {
    size_t len;
    const char *text = lua_tolstring(L, index, &len);
    LogFieldKind kind = is_below(name, n) ? LOG_FIELD_BELOW : LOG_FIELD_TEXT;
    return add_text_field(v, name, n, kind, text, len);
  }
  struct LogValue *field = begin_field(v, name, n, LOG_FIELD_JSON);
  if (!field) return v->n == LOG_FIELDS_MAX;
  if (!add_json(L, index, &v->texts, DEPTH, v->texts.len + NESTED_MAX)) return false;
  end_field(v, field);
  return true;
}

bool log_values_add_table(lua_State *L, int index, LogValues *v) {
  Key keys[LOG_FIELDS_MAX];
  int top = lua_gettop(L);
  index = lua_absindex(L, index);
  int n = push_keys(L, index, keys, LOG_FIELDS_MAX);
  bool ok = true;
  for (int i = 0; ok && i < n; i++) {
    lua_pushvalue(L, keys[i].at);
    lua_rawget(L, index);
    ok = lua_isnil(L, -1) || (error_is(L, -1) && !secret_name_is(keys[i].text, keys[i].len)
                                  ? log_values_add_error(L, -1, keys[i].text, true, v)
                                  : add_field(L, v, keys[i].text, keys[i].len));
    lua_pop(L, 1);
  }
  lua_settop(L, top);
  return ok;
}

/* Adds the texts of the error's causes as one. */
static bool add_causes(lua_State *L, int index, LogValues *v) {
  if (!error_text_push_causes(L, index)) return true;
  size_t n;
  const char *text = lua_tolstring(L, -1, &n);
  bool ok = add_text_field(v, "cause", 5, LOG_FIELD_TEXT, text, n);
  lua_pop(L, 1);
  return ok;
}

static bool is_key(const Key *key, const char *name) {
  return strlen(name) == key->len && memcmp(name, key->text, key->len) == 0;
}

/* Fields of an error that are shown in another way, or not at all: the detail of a database's error
   has values of rows and parameters. */
static bool is_special(const Key *key, bool is_of_statement) {
  return is_key(key, "message") || is_key(key, "cause") || is_key(key, "traceback") ||
         (is_of_statement && is_key(key, "detail"));
}

/* Is the error at `index` that of a database? */
static bool is_of_statement(lua_State *L, int index) {
  lua_pushliteral(L, "sql");
  bool is = lua_rawget(L, index) == LUA_TSTRING;
  lua_pop(L, 1);
  return is;
}

bool log_values_add_error(lua_State *L, int index, const char *name, bool with_text, LogValues *v) {
  Key keys[ITEMS];
  int top = lua_gettop(L);
  index = lua_absindex(L, index);
  if (!lua_checkstack(L, 2 * SLOTS)) return true;
  size_t len;
  error_text_push(L, index);
  const char *text = lua_tolstring(L, -1, &len);
  bool ok = add_text_field(v, name, strlen(name), with_text ? LOG_FIELD_TEXT : LOG_FIELD_QUIET,
                           text, len);
  bool of_statement = is_of_statement(L, index);
  int n = push_keys(L, index, keys, ITEMS);
  for (int i = 0; ok && i < n; i++) {
    if (is_special(&keys[i], of_statement)) continue;
    char whole[120];
    snprintf(whole, sizeof whole, "%.*s_%.*s", (int)utf8_cut(name, strlen(name), 58), name,
             (int)utf8_cut(keys[i].text, keys[i].len, 60), keys[i].text);
    lua_pushvalue(L, keys[i].at);
    lua_rawget(L, index);
    ok = add_field(L, v, whole, strlen(whole));
    lua_pop(L, 1);
  }
  lua_pushliteral(L, "traceback");
  if (ok && lua_rawget(L, index) == LUA_TSTRING) ok = add_field(L, v, "traceback", 9);
  lua_settop(L, top);
  return ok && add_causes(L, index, v);
}

void log_values_list(const LogValues *v, LogFields *fields) {
  for (size_t i = 0; i < v->n; i++) {
    const struct LogValue *f = &v->list[i];
    log_fields_add(fields, (LogField){v->texts.data + f->name, v->texts.data + f->value,
                                      f->name_len, f->value_len, f->kind, false});
  }
}

void log_values_free(LogValues *v) { buffer_free(&v->texts); }
