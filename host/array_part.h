/* The array part of a Lua table, in place.

   Large messages and much of JSON are lists of numbers, and Lua's API takes 40 to 90 instructions
   for each of them; where they lie they are one load and one store. This relies on two functions
   that Lua keeps for itself, which only a Lua that is linked statically has (the program's own is:
   CMakeLists.txt), and on the layout of its values, which cmake/array_part.cmake checks. With the
   shared library no table has an array part to be seen, and callers go by the API. */
#ifndef ML_ARRAY_PART_H
#define ML_ARRAY_PART_H

#include <lua.h>
#include <stddef.h>
#include <stdint.h>

#if LUA_VERSION_NUM != 504
#error "the layout of arrays is Lua 5.4's"
#endif

/* What a slot has in its tag; anything else is no number. */
#define ARRAY_INTEGER 0x03
#define ARRAY_FLOAT 0x13

/* One value. A number may be put in place of a number or of nothing; the collector need not know.
 */
typedef struct ArraySlot {
  uint64_t bits; /* of the lua_Integer or lua_Number */
  uint8_t tag;
} __attribute__((may_alias)) ArraySlot;

_Static_assert(sizeof(lua_Integer) == sizeof(uint64_t), "a slot has 64 bits");
_Static_assert(sizeof(lua_Number) == sizeof(uint64_t), "a slot has 64 bits");

/* The slots of [1..*size] of the table at `index`, or NULL when there are none. They are the
   table's, and stay where they are until it gets a new key or is collected. */
ArraySlot *array_part(lua_State *L, int index, size_t *size);

#endif
