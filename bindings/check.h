/* Checks of arguments, like luaL_check* and luaL_arg*. Their errors have the line of the script,
   even if the caller is a Lua part of the host, and name the function as scripts do: "ml.sleep",
   "queue:put". */
#ifndef ML_CHECK_H
#define ML_CHECK_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

/* "bad argument #2 to 'ml.timeout' (message)". Does not return. */
int check_fail(lua_State *L, int index, const char *message);

/* The same for a value of the wrong type: "number expected, got string". */
int check_type_fail(lua_State *L, int index, const char *expected);

/* Fails with the message unless the condition on the argument holds. */
static inline void check_true(lua_State *L, bool is_true, int index, const char *message) {
  if (!is_true) check_fail(L, index, message);
}

static inline lua_Number check_number(lua_State *L, int index) {
  int is_number;
  lua_Number number = lua_tonumberx(L, index, &is_number);
  if (!is_number) check_type_fail(L, index, "number");
  return number;
}

lua_Integer check_integer(lua_State *L, int index);
lua_Integer check_opt_integer(lua_State *L, int index, lua_Integer otherwise);
const char *check_string(lua_State *L, int index);
void check_type(lua_State *L, int index, int type);
void check_any(lua_State *L, int index);

/* A function, or a value with __call. */
void check_callable(lua_State *L, int index);

/* The userdata of the class `class` at index 1, on which a method is called. If it is missing, most
   likely a dot was written instead of the colon, and the error says so. */
void *check_self(lua_State *L, const char *class);

/* Raises that error: the value at 1 is not an object of `class`. Does not return. */
int check_self_fail(lua_State *L, const char *class);

/* The same for classes written in Lua, with the value at `index`. */
int check_self_raise(lua_State *L, int index, const char *class, const char *method);

/* The class as scripts know it: "queue" for "moonloop.queue". */
const char *check_class_name(const char *class);

#endif
