/* Packing functions: the code, then the upvalues. */
#include "transfer_pack.h"

static int write_code(lua_State *L, const void *bytes, size_t n, void *out) {
  (void)L;
  return !buffer_add(out, bytes, n);
}

void pack_open_function(lua_State *L, Packer *p) {
  if (pack_if_seen(L, p)) return;
  size_t offset = pack_here(p);
  if (pack_if_named(L, p)) return;
  if (lua_iscfunction(L, -1)) pack_refuse(L, p, "a C function of no loaded module");
  lua_Debug info;
  lua_pushvalue(L, -1);
  lua_getinfo(L, ">u", &info);
  pack_put_tagged(L, p, TRANSFER_FUNCTION, &info.nups, 1);
  uint32_t length = 0;
  pack_put(L, p, &length, sizeof length);
  size_t code = p->out->len;
  if (lua_dump(L, write_code, p->out, false)) pack_out_of_memory(L);
  size_t dumped = p->out->len - code;
  if (dumped > UINT32_MAX) pack_refuse(L, p, "a function of more than 4 GB");
  length = (uint32_t)dumped;
  memcpy(p->out->data + code - sizeof length, &length, sizeof length);
  pack_push_frame(L, p, FUNCTION, offset);
}

/* Goes on with a function: its next upvalue. */
void pack_step_function(lua_State *L, Packer *p) {
  PackFrame *f = &p->frames[p->depth - 1];
  const char *name = lua_getupvalue(L, f->index, (int)f->items + 1);
  if (!name) {
    pack_pop_frame(L, p);
    return;
  }
  f->items++;
  if (strcmp(name, "_ENV") == 0) {
    pack_put_tag(L, p, TRANSFER_GLOBALS);
    lua_pop(L, 1);
    return;
  }
  const void *identity = lua_upvalueid(L, f->index, (int)f->items);
  const PackSeen *s = pack_seen_before(L, p, identity, f->offset, (uint8_t)f->items);
  if (s) {
    uint64_t offset = s->offset;
    p->out->data[p->start + s->offset] |= (char)TRANSFER_SHARED;
    pack_put_tagged(L, p, TRANSFER_UPVALUE_REFERENCE, &offset, sizeof offset);
    pack_put(L, p, &s->upvalue, 1);
    lua_pop(L, 1);
  } else {
    pack_value(L, p);
  }
}
