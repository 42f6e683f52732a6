/* Classes of userdata: the metatables that bindings give to what they make. */
#ifndef ML_CLASS_H
#define ML_CLASS_H

#include <lauxlib.h>

/* Makes the metatable `name`, unless the state already has it: __index is a table of `methods`,
   __gc and __close are the functions `gc` and `close` if they are not NULL. */
void class_make(lua_State *L, const char *name, const luaL_Reg *methods, lua_CFunction gc,
                lua_CFunction close);

/* The same, and gives it to the userdata on the top of L. */
void class_set(lua_State *L, const char *name, const luaL_Reg *methods, lua_CFunction gc,
               lua_CFunction close);

/* Gives the class `name` a tag, the address of something static. class_tag_of(L, index) is the tag
   of the userdata at `index`, or NULL: it has none, or is no userdata. Unlike luaL_testudata this
   looks no name up, so it is for what is called often. */
void class_set_tag(lua_State *L, const char *name, const void *tag);
const void *class_tag_of(lua_State *L, int index);

/* Makes f the field `name` of the table on the top of L. Its upvalue 1 is a userdata with one
   pointer, NULL at first. It lives until the state is closed, even if the table does not, and is
   then passed to `gc`. */
void class_set_with_place(lua_State *L, const char *name, lua_CFunction f, lua_CFunction gc);

#endif
