/* blocks: the allocator of Lua's states by itself, while its memory is trimmed. Test-only. Also
   builds for sanitizers have the real one here. */
#include "base/memory.h"
#include "base/memory_trim.h"

#include <lauxlib.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { SLOTS = 120000, SMALL = 160 };

typedef struct Slot {
  unsigned char *block;
  size_t size;
  unsigned char tag;
} Slot;

typedef struct Churn {
  Memory memory;
  Slot slots[SLOTS];
  uint64_t state; /* xorshift */
  size_t wrong;
} Churn;

static uint64_t next_random(Churn *c) {
  c->state ^= c->state << 13;
  c->state ^= c->state >> 7;
  c->state ^= c->state << 17;
  return c->state;
}

static size_t random_size(Churn *c) {
  uint64_t r = next_random(c);
  return 1 + (size_t)(r >> 8) % (r % 8 == 0 ? MEMORY_SMALL_MAX + 200 : SMALL);
}

/* The slot's block gets another size, 0 for none; what was in it must be there still. */
static void change(Churn *c, Slot *slot, size_t size) {
  for (size_t i = 0; i < slot->size; i++) c->wrong += slot->block[i] != slot->tag;
  unsigned char *block = memory_alloc(&c->memory, slot->block, slot->size, size);
  for (size_t i = 0; i < size && i < slot->size; i++) c->wrong += block[i] != slot->tag;
  *slot = (Slot){block, size, (unsigned char)next_random(c)};
  if (size) memset(block, slot->tag, size);
}

static Churn *churn_new(uint64_t seed) {
  Churn *c = calloc(1, sizeof *c);
  c->state = seed * 2 + 1;
  return c;
}

static void churn_close(Churn *c) {
  for (size_t i = 0; i < SLOTS; i++) change(c, &c->slots[i], 0);
  memory_close(&c->memory);
  free(c);
}

/* churn(seed, rounds) -> how many bytes were not as they had been written, how often trimming came
   to its end. Blocks come, grow, shrink and go, few or many, between the steps. */
static int l_churn(lua_State *L) {
  Churn *c = churn_new((uint64_t)luaL_checkinteger(L, 1));
  lua_Integer rounds = luaL_checkinteger(L, 2), done = 0;
  for (lua_Integer round = 0; round < rounds; round++) {
    uint64_t mode = next_random(c) % 4; /* all goes, most goes, all comes, a bit of both */
    size_t n = next_random(c) % (2 * SLOTS), first = next_random(c) % SLOTS;
    for (size_t i = 0; i < n; i++) {
      Slot *slot = &c->slots[mode == 3 ? next_random(c) % SLOTS : (first + i) % SLOTS];
      if (mode == 0 || (mode == 1 && next_random(c) % 500))
        change(c, slot, 0);
      else
        change(c, slot, next_random(c) % 3 ? random_size(c) : 0);
      if (next_random(c) % 64 == 0) done += memory_trim(&c->memory);
    }
    for (uint64_t steps = next_random(c) % 200; steps > 0; steps--) done += memory_trim(&c->memory);
  }
  for (size_t i = 0; i < SLOTS; i++) change(c, &c->slots[i], 0);
  lua_pushinteger(L, (lua_Integer)c->wrong);
  lua_pushinteger(L, done);
  churn_close(c);
  return 2;
}

/* steps(n) -> of how many steps trimming is when n blocks are free, in no order. */
static int l_steps(lua_State *L) {
  size_t n = (size_t)luaL_checkinteger(L, 1);
  Memory memory = {0};
  void **blocks = malloc(n * sizeof *blocks);
  for (size_t i = 0; i < n; i++) blocks[i] = memory_alloc(&memory, NULL, 0, 64);
  for (size_t i = 0; i < n; i++) memory_alloc(&memory, blocks[i * 7919 % n], 64, 0);
  free(blocks);
  lua_Integer steps = 1;
  while (!memory_trim(&memory)) steps++;
  memory_close(&memory);
  lua_pushinteger(L, steps);
  return 1;
}

__attribute__((visibility("default"))) int luaopen_blocks(lua_State *L);

int luaopen_blocks(lua_State *L) {
  luaL_newlib(L, ((luaL_Reg[]){{"churn", l_churn}, {"steps", l_steps}, {0}}));
  return 1;
}
