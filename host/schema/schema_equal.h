/* Values that are equal as JSON: numbers by value, tables by what is in them. */
#ifndef ML_SCHEMA_EQUAL_H
#define ML_SCHEMA_EQUAL_H

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

/* Are the values at the two absolute indexes equal? Reads raw. */
bool schema_equal(lua_State *L, int a, int b);

/* Has the list at the absolute index `list`, of n items, two that are equal? In linear time, also
   where the items were made to collide. Takes from `*steps` what it costs, and is false where these
   do not suffice. */
bool schema_equal_has_twins(lua_State *L, int list, lua_Integer n, int64_t *steps);

#endif
