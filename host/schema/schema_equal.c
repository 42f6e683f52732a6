#include "schema/schema_equal.h"

#include "base/hash.h"
#include "json/json.h"

#include <lauxlib.h>
#include <math.h>
#include <stdint.h>
#include <string.h>
#include <uv.h>

/* Tables nested deeper count as equal to nothing. */
#define DEPTH_MAX 600

/* As ml.json.encode has it: an empty table without a mark is an object. */
static bool is_array(lua_State *L, int index) {
  return lua_rawlen(L, index) > 0 || json_get_mark(L, index) == JSON_ARRAY;
}

static bool equal(lua_State *L, int a, int b, int depth) {
  int type = lua_type(L, a);
  if (type != lua_type(L, b)) return false;
  if (type != LUA_TTABLE || lua_rawequal(L, a, b)) return lua_rawequal(L, a, b);
  if (depth > DEPTH_MAX || !lua_checkstack(L, 8)) return false;
  if (lua_rawlen(L, a) != lua_rawlen(L, b)) return false;
  if (is_array(L, a) != is_array(L, b)) return false;
  int top = lua_gettop(L);
  size_t count = 0;
  lua_pushnil(L);
  while (lua_next(L, a)) {
    lua_pushvalue(L, -2);
    lua_rawget(L, b);
    if (!equal(L, top + 2, top + 3, depth + 1)) {
      lua_settop(L, top);
      return false;
    }
    lua_settop(L, top + 1);
    count++;
  }
  lua_pushnil(L);
  while (lua_next(L, b)) {
    lua_pop(L, 1);
    if (count-- == 0) {
      lua_settop(L, top);
      return false;
    }
  }
  return count == 0;
}

bool schema_equal(lua_State *L, int a, int b) { return equal(L, a, b, 0); }

static uint64_t hash_text(const char *s, size_t n, uint64_t seed) {
  uint64_t h = hash_mix(seed + n);
  for (; n >= 8; s += 8, n -= 8) {
    uint64_t w;
    memcpy(&w, s, 8);
    h = hash_mix(h ^ w);
  }
  uint64_t w = 0;
  memcpy(&w, s, n);
  return hash_mix(h ^ w);
}

/* Bytes of text that cost as much as a value. */
#define STEP_BYTES 16

static uint64_t hash(lua_State *L, int index, uint64_t seed, int depth, int64_t *steps) {
  --*steps;
  switch (lua_type(L, index)) {
  case LUA_TNUMBER: {
    lua_Integer i;
    lua_Number d = lua_tonumber(L, index);
    if (lua_isinteger(L, index))
      i = lua_tointeger(L, index);
    else if (!lua_numbertointeger(d, &i) || (lua_Number)i != d)
      memcpy(&i, &d, sizeof i);
    return hash_mix(seed + 1 + hash_mix((uint64_t)i + seed));
  }
  case LUA_TSTRING: {
    size_t n;
    const char *s = lua_tolstring(L, index, &n);
    *steps -= (int64_t)(n / STEP_BYTES);
    return hash_text(s, n, seed + 2);
  }
  case LUA_TBOOLEAN:
    return hash_mix(seed + 3 + (uint64_t)lua_toboolean(L, index));
  case LUA_TTABLE: {
    uint64_t sum = seed + 7;
    if (depth > DEPTH_MAX || *steps <= 0 || !lua_checkstack(L, 4)) return sum;
    int top = lua_gettop(L);
    lua_pushnil(L);
    while (lua_next(L, index)) { /* in any order: the sum is the same */
      sum += hash_mix(hash(L, top + 1, seed, depth + 1, steps) * 3 +
                      hash(L, top + 2, seed, depth + 1, steps));
      lua_pop(L, 1);
    }
    return hash_mix(sum);
  }
  default:
    return hash_mix(seed + 5);
  }
}

bool schema_equal_has_twins(lua_State *L, int list, lua_Integer n, int64_t *steps) {
  int top = lua_gettop(L);
  luaL_checkstack(L, 8, NULL);
  if (n < 2) return false;
  typedef struct Place {
    uint64_t hash;
    lua_Integer index;
  } Place;
  size_t room = 16;
  while (room < (size_t)n * 2) room *= 2;
  Place *places = lua_newuserdatauv(L, room * sizeof *places, 0);
  memset(places, 0, room * sizeof *places);
  /* Unknown to who sends the list, so that nobody can make items whose hashes collide. */
  uint64_t seed = hash_mix(uv_hrtime() ^ (uint64_t)(uintptr_t)places);
  for (lua_Integer i = 1; i <= n && *steps > 0; i++) {
    lua_rawgeti(L, list, i);
    uint64_t h = hash(L, top + 2, seed, 0, steps);
    size_t at = h & (room - 1);
    for (; places[at].index; at = (at + 1) & (room - 1)) {
      if (places[at].hash != h) continue;
      lua_rawgeti(L, list, places[at].index);
      bool same = equal(L, top + 2, top + 3, 0);
      lua_pop(L, 1);
      if (!same) continue;
      lua_settop(L, top);
      return true;
    }
    places[at] = (Place){h, i};
    lua_pop(L, 1);
  }
  lua_settop(L, top);
  return false;
}
