/* Packing: the message of an error, with the path to the value. */
#include "transfer/transfer_pack.h"

#include <stdio.h>

#define MAX_PATH 16 /* levels of tables that it shows */

static bool is_identifier(const char *s, size_t len) {
  if (!len || (*s >= '0' && *s <= '9')) return false;
  for (size_t i = 0; i < len; i++) {
    char c = s[i];
    bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (!word && c != '_') return false;
  }
  return true;
}

/* Adds `.name`, `[3]` or `["any text"]` for the key at `index`. */
static void add_key(lua_State *L, luaL_Buffer *b, int index) {
  size_t len;
  char text[80];
  switch (lua_type(L, index)) {
  case LUA_TSTRING: {
    const char *s = lua_tolstring(L, index, &len);
    if (is_identifier(s, len) && len < 60) {
      luaL_addchar(b, '.');
      luaL_addlstring(b, s, len);
    } else {
      luaL_addstring(b, "[\"");
      luaL_addlstring(b, s, len < 60 ? len : 60);
      luaL_addstring(b, len < 60 ? "\"]" : "...\"]");
    }
    return;
  }
  case LUA_TNUMBER:
    if (lua_isinteger(L, index)) {
      snprintf(text, sizeof text, "[%lld]", (long long)lua_tointeger(L, index));
    } else {
      snprintf(text, sizeof text, "[%.14g]", (double)lua_tonumber(L, index));
    }
    break;
  case LUA_TBOOLEAN:
    snprintf(text, sizeof text, "[%s]", lua_toboolean(L, index) ? "true" : "false");
    break;
  default:
    snprintf(text, sizeof text, "[a %s]", luaL_typename(L, index));
  }
  luaL_addstring(b, text);
}

/* Adds where the path begins: an upvalue of the function in `f`, or, without one, a root. */
static void add_start(lua_State *L, luaL_Buffer *b, const Packer *p, const PackFrame *f) {
  char text[LUA_IDSIZE + 300];
  size_t len = strlen(p->what);
  if (f) {
    lua_Debug where;
    lua_pushvalue(L, f->index);
    lua_getinfo(L, ">S", &where);
    const char *name = lua_getupvalue(L, f->index, (int)f->items);
    if (name) lua_pop(L, 1);
    snprintf(text, sizeof text, "upvalue '%.200s' of function at %s:%d", name ? name : "?",
             where.short_src, where.linedefined);
  } else if (len && p->what[len - 1] == '#') {
    snprintf(text, sizeof text, "%s%d", p->what, p->root);
  } else {
    snprintf(text, sizeof text, "%s", p->what);
  }
  luaL_addstring(b, text);
}

int transfer_pack_refuse(lua_State *L, Packer *p, const char *problem) {
  char why[200];
  snprintf(why, sizeof why, "%s",
           problem); /* it may be in the part of the stack that is cut below */
  size_t from = p->depth, to = p->depth;
  while (from && p->frames[from - 1].state != FUNCTION) from--;
  bool cut = to - from > MAX_PATH;
  if (cut) { /* deep: the stack may be full, and nobody would read it all */
    to = from + MAX_PATH;
    lua_settop(L, p->frames[to].index);
  }
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  luaL_addstring(&b, "cannot send ");
  add_start(L, &b, p, from ? &p->frames[from - 1] : NULL);
  for (size_t i = from; i < to; i++) {
    PackFrame *f = &p->frames[i];
    if (f->state == USERDATA) continue;
    if (f->state == TABLE_META) {
      luaL_addstring(&b, ", metatable");
      continue;
    }
    if (f->state == TABLE_VALUE) luaL_addstring(&b, ", key ");
    add_key(L, &b, f->index + 1);
  }
  if (cut) luaL_addstring(&b, "...");
  luaL_addstring(&b, ": ");
  luaL_addstring(&b, why);
  luaL_pushresult(&b);
  return lua_error(L);
}

int transfer_pack_refuse_size(lua_State *L, Packer *p) {
  char why[100];
  snprintf(why, sizeof why, TRANSFER_TOO_LARGE " (the limit is %zu bytes)", p->max);
  return transfer_pack_refuse(L, p, why);
}
