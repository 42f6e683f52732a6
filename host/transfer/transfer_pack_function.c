/* Packing functions: the code, then the upvalues. */
#include "transfer/transfer_pack.h"

#include <stdlib.h>

/* Adds a code to the message and returns its index. */
static uint32_t add_code(lua_State *L, TransferMessage *m, Code *code) {
  if (m->code_count == m->code_cap) {
    uint32_t cap = m->code_cap ? m->code_cap * 2 : 4;
    Code **wider = realloc(m->codes, cap * sizeof(Code *));
    if (!wider) transfer_pack_out_of_memory(L);
    m->codes = wider;
    m->code_cap = cap;
  }
  m->codes[m->code_count] = transfer_code_hold(code);
  return m->code_count++;
}

void transfer_pack_open_function(lua_State *L, Packer *p) {
  if (transfer_pack_if_seen(L, p)) return;
  size_t offset = transfer_pack_here(p);
  Code *code = lua_iscfunction(L, -1) ? NULL : transfer_code_known(L);
  if (!code) {
    if (transfer_pack_if_named(L, p)) return;
    if (lua_iscfunction(L, -1)) transfer_pack_refuse(L, p, "a C function of no loaded module");
    code = transfer_code_of_function(L, &p->scratch);
  }
  const PackSeen *before = transfer_pack_seen_before(L, p, code, p->message->code_count, 0);
  uint32_t index = before ? (uint32_t)before->offset : add_code(L, p->message, code);
  char head[TRANSFER_FUNCTION_HEAD] = {(char)TRANSFER_FUNCTION, (char)code->upvalues,
                                       before != NULL};
  memcpy(head + 3, &index, sizeof index);
  transfer_pack_put(L, p, head, sizeof head);
  transfer_pack_push_frame(L, p, FUNCTION, offset);
}

/* Continues a function: packs its next upvalue. */
void transfer_pack_step_function(lua_State *L, Packer *p) {
  PackFrame *f = &p->frames[p->depth - 1];
  const char *name = lua_getupvalue(L, f->index, (int)f->items + 1);
  if (!name) {
    transfer_pack_pop_frame(L, p);
    return;
  }
  f->items++;
  if (strcmp(name, "_ENV") == 0) {
    transfer_pack_put_tag(L, p, TRANSFER_GLOBALS);
    lua_pop(L, 1);
    return;
  }
  const void *identity = lua_upvalueid(L, f->index, (int)f->items);
  const PackSeen *s = transfer_pack_seen_before(L, p, identity, f->offset, (uint8_t)f->items);
  if (s) {
    uint64_t offset = s->offset;
    p->out->data[s->offset] |= (char)TRANSFER_SHARED;
    transfer_pack_put_tagged(L, p, TRANSFER_UPVALUE_REFERENCE, &offset, sizeof offset);
    transfer_pack_put(L, p, &s->upvalue, 1);
    lua_pop(L, 1);
  } else {
    transfer_pack_value(L, p);
  }
}
