/* Values that cross by name: library functions and modules, and registered userdata types. */
#include "transfer/transfer_names.h"

#include "core/weak_keys.h"
#include "transfer/transfer.h"
#include "transfer/transfer_format.h"

#include <lauxlib.h>
#include <string.h>

/* The modules that cross as a whole. */
static const char *const library[] = {
    "_G",
    "string",
    "table",
    "math",
    "io",
    "os",
    "utf8",
    "coroutine",
    "debug",
    "package",
    "moonloop",
    "moonloop.core",
    "moonloop.json",
    "moonloop.http",
    "moonloop.http.core",
    "moonloop.web",
    "moonloop.web.core",
    "moonloop.executor",
    "moonloop.executor.core",
};
#define LIBRARY_COUNT ((int)(sizeof library / sizeof *library))

static const char names_key; /* its address is the registry's key */

/* Pushes "module\0field". */
static void push_name(lua_State *L, const char *module, const char *field, size_t field_len) {
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  luaL_addlstring(&b, module, strlen(module) + 1);
  luaL_addlstring(&b, field, field_len);
  luaL_pushresult(&b);
}

/* Names the fields of the module on the top of L that can only cross by name. A value that has a
   name keeps it. */
static void add_fields(lua_State *L, int names, const char *module, bool lua_functions) {
  lua_pushnil(L);
  while (lua_next(L, -2)) {
    int type = lua_type(L, -1);
    bool wanted =
        type == LUA_TFUNCTION ? lua_functions || lua_iscfunction(L, -1) : type == LUA_TUSERDATA;
    if (wanted && lua_type(L, -2) == LUA_TSTRING) {
      lua_pushvalue(L, -1);
      if (lua_rawget(L, names) == LUA_TNIL) {
        size_t len;
        const char *field = lua_tolstring(L, -3, &len);
        lua_pushvalue(L, -2);
        push_name(L, module, field, len);
        lua_rawset(L, names);
      }
      lua_pop(L, 1);
    }
    lua_pop(L, 1);
  }
}

/* The only global function that the host implements in Lua. _G is on the top of L. */
static void add_require(lua_State *L, int names) {
  if (lua_getfield(L, -1, "require") == LUA_TFUNCTION) {
    push_name(L, "_G", "require", strlen("require"));
    lua_rawset(L, names);
  } else {
    lua_pop(L, 1);
  }
}

void transfer_names_refresh(lua_State *L, int names, bool all) {
  luaL_checkstack(L, 12, NULL);
  int top = lua_gettop(L);
  lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  int loaded = top + 1;
  for (int i = 1; i <= LIBRARY_COUNT; i++) { /* names[i] is the module's name until it is loaded */
    if (lua_rawgeti(L, names, i) == LUA_TSTRING && lua_rawget(L, loaded) == LUA_TTABLE) {
      const char *module = library[i - 1];
      lua_pushvalue(L, -1);
      push_name(L, module, "", 0);
      lua_rawset(L, names);
      bool ours = strncmp(module, "moonloop", 8) == 0;
      add_fields(L, names, module, ours);
      if (i == 1) add_require(L, names);
      lua_pushboolean(L, false);
      lua_rawseti(L, names, i);
    }
    lua_settop(L, loaded);
  }
  if (all) {
    lua_pushnil(L);
    while (lua_next(L, loaded)) {
      if (lua_type(L, -2) == LUA_TSTRING) {
        const char *module = lua_tostring(L, -2);
        if (lua_istable(L, -1)) {
          add_fields(L, names, module, false);
        } else if (lua_iscfunction(L, -1)) {
          push_name(L, module, "", 0);
          lua_rawset(L, names);
          lua_pushnil(L);
        }
      }
      lua_pop(L, 1);
    }
  }
  lua_settop(L, top);
}

void transfer_names_push(lua_State *L) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &names_key) == LUA_TTABLE) return;
  lua_pop(L, 1);
  lua_createtable(L, LIBRARY_COUNT, 300);
  weak_keys_set(L); /* a module that nobody has need not be kept */
  for (int i = 1; i <= LIBRARY_COUNT; i++) {
    lua_pushstring(L, library[i - 1]);
    lua_rawseti(L, -2, i);
  }
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &names_key);
}

void transfer_note_module(lua_State *L, const char *name, int index) {
  index = lua_absindex(L, index);
  luaL_checkstack(L, 4, NULL);
  transfer_names_push(L);
  lua_pushvalue(L, index);
  push_name(L, name, "", 0);
  lua_rawset(L, -3);
  lua_pop(L, 1);
}

/* Replaces the error on the top of L by its text. */
static const char *error_text(lua_State *L) {
  luaL_tolstring(L, -1, NULL);
  lua_replace(L, -2);
  return lua_tostring(L, -1);
}

/* Pushes the module, which is not loaded yet. */
static void load_module(lua_State *L, const char *name, size_t len) {
  lua_pushlstring(L, name, len);
  if (lua_getglobal(L, "require") != LUA_TFUNCTION)
    luaL_error(L, "the module '%s' is not loaded here, and there is no 'require'",
               lua_tostring(L, -2));
  lua_pushvalue(L, -2);
  if (lua_pcall(L, 1, 1, 0) != LUA_OK)
    luaL_error(L, "cannot load the module '%s', to which a value belongs: %s", lua_tostring(L, -2),
               error_text(L));
  lua_remove(L, -2);
}

bool transfer_names_push_value(lua_State *L, const char *name, size_t len) {
  const char *end = memchr(name, 0, len);
  if (!end) return false;
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  size_t field_len = (size_t)(name + len - end - 1);
  lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_pushlstring(L, name, (size_t)(end - name));
  if (lua_rawget(L, -2) == LUA_TNIL) {
    lua_pop(L, 1);
    load_module(L, name, (size_t)(end - name));
  }
  lua_remove(L, -2);
  if (!field_len) return true;
  if (lua_istable(L, -1)) {
    lua_pushlstring(L, end + 1, field_len);
    if (lua_rawget(L, -2) != LUA_TNIL) {
      lua_remove(L, -2);
      return true;
    }
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  return false;
}

/* Pushes the {pack, unpack} registered so far, or returns false. */
static bool push_registered(lua_State *L, const char *metatable) {
  if (lua_getfield(L, LUA_REGISTRYINDEX, TRANSFER_TYPES) == LUA_TTABLE) {
    lua_pushstring(L, metatable);
    if (lua_rawget(L, -2) == LUA_TTABLE) {
      lua_remove(L, -2);
      return true;
    }
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  return false;
}

bool transfer_names_push_type(lua_State *L, const char *metatable, bool load) {
  luaL_checkstack(L, 6, NULL);
  if (push_registered(L, metatable)) return true;
  if (!load) return false;
  /* "moonloop.web.request" is registered by "moonloop.web" */
  const char *dot = strrchr(metatable, '.');
  if (!dot || lua_getglobal(L, "require") != LUA_TFUNCTION) {
    if (dot) lua_pop(L, 1);
    return false;
  }
  lua_pushlstring(L, metatable, (size_t)(dot - metatable));
  lua_call(L, 1, 0);
  return push_registered(L, metatable);
}

void transfer_register(lua_State *L, const char *metatable, lua_CFunction pack,
                       lua_CFunction unpack) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, TRANSFER_TYPES);
  lua_createtable(L, 2, 0);
  lua_pushcfunction(L, pack);
  lua_rawseti(L, -2, 1);
  lua_pushcfunction(L, unpack);
  lua_rawseti(L, -2, 2);
  lua_setfield(L, -2, metatable);
  lua_pop(L, 1);
}
