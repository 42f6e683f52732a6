/* Fields of tables that C and Lua parts of the host hand to each other. */
#ifndef ML_FIELDS_H
#define ML_FIELDS_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

/* The field of the table at the absolute `index`, or `otherwise` where it is nil. Another type
   raises, except for the flag, which is true for all but nil and false. The table keeps the text.
 */
double fields_number(lua_State *L, int index, const char *name, double otherwise);
size_t fields_size(lua_State *L, int index, const char *name,
                   size_t otherwise); /* math.huge: SIZE_MAX */
bool fields_flag(lua_State *L, int index, const char *name, bool otherwise);
const char *fields_text(lua_State *L, int index, const char *name, const char *otherwise);

/* Sets a field of the table on the top of L. */
void fields_set_integer(lua_State *L, const char *name, lua_Integer value);
void fields_set_number(lua_State *L, const char *name, double value);
void fields_set_flag(lua_State *L, const char *name, bool value);

#endif
