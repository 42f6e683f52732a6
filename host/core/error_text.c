#include "core/error_text.h"

#include "base/text.h"
#include "base/utf8.h"

#include <stdio.h>
#include <string.h>

/* How much of a table is shown: enough to know what was raised, not all its data. */
#define MAX_TEXT 1000  /* bytes */
#define MAX_STRING 200 /* bytes of each */
#define MAX_FIELDS 12  /* of each table; as many list items */
#define MAX_DEPTH 3    /* tables below are {...}, which also ends cycles */
#define MAX_CAUSES 5
#define MAX_CAUSE 1024 /* bytes of each */

/* --- parts --- */

/* Appends `s` as one line; bytes are kept, so that UTF-8 is preserved. */
static void add_escaped(Text *text, const char *s, size_t len) {
  for (size_t i = 0; i < len; i++) {
    unsigned char c = (unsigned char)s[i];
    char piece[5] = {s[i]};
    if (c == '\n')
      snprintf(piece, sizeof piece, "\\n");
    else if (c == '"' || c == '\\')
      snprintf(piece, sizeof piece, "\\%c", c);
    else if (c < 0x20 || c == 0x7F)
      snprintf(piece, sizeof piece, "\\x%02X", c);
    text_add(text, piece);
  }
}

static void add_quoted(Text *text, const char *s, size_t len) {
  size_t shown = utf8_cut(s, len, MAX_STRING);
  text_add(text, "\"");
  add_escaped(text, s, shown);
  text_add(text, "\"");
  if (shown < len) text_add(text, "...");
}

static bool is_name(const char *s, size_t len) {
  static const char rest[] = "_abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
  return len > 0 && strspn(s, rest) == len && !(s[0] >= '0' && s[0] <= '9');
}

static void add_key(Text *text, const char *s, size_t len) {
  if (is_name(s, len)) {
    text_add(text, s);
    return;
  }
  text_add(text, "[");
  add_quoted(text, s, len);
  text_add(text, "]");
}

/* --- values --- */

static void add_table(lua_State *L, Text *text, int index, int depth);

static bool says_how(lua_State *L, int index) {
  if (luaL_getmetafield(L, index, "__tostring") == LUA_TNIL) return false;
  lua_pop(L, 1);
  return true;
}

/* Appends the value on the top (popped). */
static void add_value(lua_State *L, Text *text, int depth) {
  int index = lua_gettop(L);
  size_t len;
  luaL_checkstack(L, 10, NULL);
  if (lua_type(L, index) == LUA_TSTRING) {
    const char *s = lua_tolstring(L, index, &len);
    add_quoted(text, s, len);
  } else if (lua_istable(L, index) && !says_how(L, index)) {
    add_table(L, text, index, depth);
  } else {
    const char *s = luaL_tolstring(L, index, &len);
    add_escaped(text, s, utf8_cut(s, len, MAX_STRING));
  }
  lua_settop(L, index - 1);
}

/* Sorts the string key at -2 into the `n` keys at `base`, since Lua's own order changes from
   process to process. The keys are on the stack because a __tostring may change the table. Returns
   the new number of keys, at most MAX_FIELDS. */
static int add_sorted(lua_State *L, int base, int n) {
  const char *key = lua_tostring(L, -2);
  int at = n;
  while (at > 0 && strcmp(key, lua_tostring(L, base + at - 1)) < 0) at--;
  if (at == MAX_FIELDS) return n;
  if (n < MAX_FIELDS) n++;
  for (int i = n - 1; i > at; i--) lua_copy(L, base + i - 1, base + i);
  lua_copy(L, -2, base + at);
  return n;
}

/* Leaves the first string keys, sorted, on the top, in MAX_FIELDS slots; `items` list items are
   already shown. Returns how many slots are used, and in `*others` how many keys are left out. */
static int list_keys(lua_State *L, int index, lua_Integer items, size_t *others) {
  int base = lua_gettop(L) + 1, n = 0;
  size_t strings = 0;
  *others = 0;
  lua_settop(L, base + MAX_FIELDS - 1);
  for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
    if (lua_type(L, -2) == LUA_TSTRING) {
      n = add_sorted(L, base, n);
      strings++;
    } else if (!lua_isinteger(L, -2) || lua_tointeger(L, -2) < 1 || lua_tointeger(L, -2) > items) {
      ++*others;
    }
  }
  *others += strings - (size_t)n;
  return n;
}

/* Appends `key = value` for the key on the stack. */
static void add_field(lua_State *L, Text *text, int index, int key, int depth) {
  size_t len;
  const char *s = lua_tolstring(L, key, &len);
  add_key(text, s, len);
  text_add(text, " = ");
  lua_pushvalue(L, key);
  lua_rawget(L, index);
  add_value(L, text, depth + 1);
}

static void add_table(lua_State *L, Text *text, int index, int depth) {
  const char *separator = "";
  lua_Integer items = 0;
  size_t others;
  luaL_checkstack(L, MAX_FIELDS + 10, NULL);
  if (luaL_getmetafield(L, index, "__name") == LUA_TSTRING) {
    text_add(text, lua_tostring(L, -1));
    text_add(text, " ");
  }
  lua_settop(L, index);
  text_add(text, "{");
  if (depth == MAX_DEPTH) {
    lua_pushnil(L);
    text_add(text, lua_next(L, index) ? "...}" : "}");
    lua_settop(L, index);
    return;
  }
  for (; items < MAX_FIELDS && lua_rawgeti(L, index, items + 1) != LUA_TNIL; items++) {
    text_add(text, separator);
    separator = ", ";
    add_value(L, text, depth + 1);
  }
  lua_settop(L, index);
  int n = list_keys(L, index, items, &others);
  for (int i = 0; i < n; i++) {
    text_add(text, separator);
    separator = ", ";
    add_field(L, text, index, index + 1 + i, depth);
  }
  if (others) {
    text_add(text, separator);
    text_add(text, "...");
  }
  text_add(text, "}");
  lua_settop(L, index);
}

/* --- the whole --- */

static int l_push_text(lua_State *L) {
  char memory[MAX_TEXT + 1];
  if (!lua_istable(L, 1) || says_how(L, 1)) {
    luaL_tolstring(L, 1, NULL);
    return 1;
  }
  Text text = text_in(memory, sizeof memory);
  add_table(L, &text, 1, 0);
  bool is_cut = text.len == MAX_TEXT;
  lua_pushlstring(L, memory, is_cut ? utf8_cut(memory, text.len, MAX_TEXT - 4) : text.len);
  if (is_cut) lua_pushfstring(L, "%s...", lua_tostring(L, -1));
  return 1;
}

static int l_push_failed(lua_State *L) {
  lua_pushliteral(L, "(an error whose __tostring failed)");
  return 1;
}

const char *error_text_push(lua_State *L, int index) {
  index = lua_absindex(L, index);
  lua_pushcfunction(L, l_push_text);
  lua_pushvalue(L, index);
  int status = lua_pcall(L, 1, 1, 0);
  if (status != LUA_OK && status != LUA_ERRMEM) {
    lua_pop(L, 1);
    lua_pushcfunction(L, l_push_failed);
    lua_pcall(L, 0, 1, 0);
  }
  return lua_tostring(L, -1);
}

const char *error_text_push_short(lua_State *L, int index, size_t max) {
  size_t n;
  error_text_push(L, index);
  const char *text = lua_tolstring(L, -1, &n);
  if (n <= max) return text;
  lua_pushlstring(L, text, utf8_cut(text, n, max - 3));
  lua_pushliteral(L, "...");
  lua_concat(L, 2);
  lua_replace(L, -2);
  return lua_tostring(L, -1);
}

bool error_text_push_causes(lua_State *L, int index) {
  int n = 0, first = lua_gettop(L) + 1;
  luaL_checkstack(L, 2 * MAX_CAUSES + 4, "not enough memory");
  lua_pushvalue(L, index);
  for (; n < MAX_CAUSES && lua_istable(L, -1); n++) { /* on the top is where to look next */
    lua_pushliteral(L, "cause");
    lua_rawget(L, -2);
    lua_remove(L, -2);
    if (lua_isnil(L, -1)) break;
    if (n) {
      lua_pushliteral(L, "; caused by: ");
      lua_insert(L, -2);
    }
    error_text_push_short(L, -1, MAX_CAUSE);
    lua_insert(L, -2);
  }
  lua_pop(L, 1);
  int texts = lua_gettop(L) - first + 1;
  if (texts) lua_concat(L, texts);
  return texts > 0;
}
