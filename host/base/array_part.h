/* The array part of a Lua table, in place.

   Large messages and much of JSON are lists of numbers. Lua's API takes 40 to 90 instructions for
   each of them; in place, each is one load and one store. This relies on two internal functions of
   Lua, which are available only if Lua is linked statically (as in the program itself:
   CMakeLists.txt), and on the layout of its values, which cmake/array_part.cmake checks. With the
   shared library no table appears to have an array part, and callers use the API. */
#ifndef ML_ARRAY_PART_H
#define ML_ARRAY_PART_H

#include <lua.h>
#include <stddef.h>
#include <stdint.h>

#if LUA_VERSION_NUM != 504
#error "the layout of arrays is Lua 5.4's"
#endif

/* The tags of a slot; any other tag is not a number. */
#define ARRAY_INTEGER 0x03
#define ARRAY_FLOAT 0x13

/* One value. A number may replace a number or an empty slot; the collector need not know. */
typedef struct ArraySlot {
  uint64_t bits; /* of the lua_Integer or lua_Number */
  uint8_t tag;
} __attribute__((may_alias)) ArraySlot;

_Static_assert(sizeof(lua_Integer) == sizeof(uint64_t), "a slot has 64 bits");
_Static_assert(sizeof(lua_Number) == sizeof(uint64_t), "a slot has 64 bits");

/* The slots of [1..*size] of the table at `index`, or NULL if there are none. They belong to the
   table, and stay in place until it gets a new key or is collected. */
ArraySlot *array_part(lua_State *L, int index, size_t *size);

#endif
