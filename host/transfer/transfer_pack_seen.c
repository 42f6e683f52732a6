/* Packing: what was packed before, by its address. */
#include "transfer/transfer_pack.h"

#include <stdlib.h>

static size_t slot_of(const Packer *p, const void *identity) {
  size_t mask = p->seen_cap - 1;
  uint64_t hash = (uint64_t)(uintptr_t)identity * 0x9E3779B97F4A7C15u;
  size_t slot = (size_t)(hash >> 32) & mask;
  while (p->seen[slot].identity && p->seen[slot].identity != identity) slot = (slot + 1) & mask;
  return slot;
}

static void grow(lua_State *L, Packer *p) {
  PackSeen *old = p->seen;
  size_t old_cap = p->seen_cap;
  PackSeen *wider = calloc(old_cap * 4, sizeof *wider);
  if (!wider) transfer_pack_out_of_memory(L);
  p->seen = wider;
  p->seen_cap = old_cap * 4;
  for (size_t i = 0; i < old_cap; i++) {
    if (old[i].identity) p->seen[slot_of(p, old[i].identity)] = old[i];
  }
  if (old != p->few_seen) free(old);
}

const PackSeen *transfer_pack_seen_before(lua_State *L, Packer *p, const void *identity,
                                          size_t offset, uint8_t upvalue) {
  if (p->seen_count * 2 >= p->seen_cap) grow(L, p);
  PackSeen *s = &p->seen[slot_of(p, identity)];
  if (s->identity) return s;
  *s = (PackSeen){identity, offset, upvalue};
  p->seen_count++;
  return NULL;
}

bool transfer_pack_if_seen(lua_State *L, Packer *p) {
  const PackSeen *s =
      transfer_pack_seen_before(L, p, lua_topointer(L, -1), transfer_pack_here(p), 0);
  if (!s) return false;
  uint64_t offset = s->offset;
  p->out->data[s->offset] |= (char)TRANSFER_SHARED;
  transfer_pack_put_tagged(L, p, TRANSFER_REFERENCE, &offset, sizeof offset);
  lua_pop(L, 1);
  return true;
}
