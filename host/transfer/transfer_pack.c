/* Packing: a walk over the values without recursion (transfer_pack.h). */
#include "transfer/transfer_pack.h"
#include "transfer/transfer.h"
#include "transfer/transfer_names.h"
#include "json/json.h"

#include <stdlib.h>

/* Strings from this length on are packed once however often they occur. */
#define SHARE_STRINGS_FROM 64

PackFrame *transfer_pack_push_frame(lua_State *L, Packer *p, int state, size_t offset) {
  /* for its key and value, and what packing a scalar needs */
  if (!lua_checkstack(L, LUA_MINSTACK)) transfer_pack_refuse(L, p, "tables nested too deeply");
  if (p->depth == p->frames_cap) {
    bool few = p->frames == p->few_frames;
    PackFrame *wider = realloc(few ? NULL : p->frames, p->frames_cap * 2 * sizeof *wider);
    if (!wider) transfer_pack_out_of_memory(L);
    if (few) memcpy(wider, p->frames, sizeof p->few_frames);
    p->frames = wider;
    p->frames_cap *= 2;
  }
  PackFrame *f = &p->frames[p->depth++];
  *f = (PackFrame){.state = state, .index = lua_gettop(L), .offset = offset};
  return f;
}

void transfer_pack_pop_frame(lua_State *L, Packer *p) {
  lua_settop(L, p->frames[--p->depth].index - 1);
}

bool transfer_pack_if_named(lua_State *L, Packer *p) {
  if (!p->names_fresh) {
    transfer_names_refresh(L, PACK_NAMES, false);
    p->names_fresh = true;
  }
  bool again = lua_iscfunction(L, -1) || lua_type(L, -1) == LUA_TUSERDATA;
  for (;;) {
    lua_pushvalue(L, -1);
    if (lua_rawget(L, PACK_NAMES) == LUA_TSTRING) break;
    lua_pop(L, 1);
    if (!again) return false;
    transfer_names_refresh(L, PACK_NAMES, true);
    again = false;
  }
  size_t len;
  const char *name = lua_tolstring(L, -1, &len);
  if (len > UINT16_MAX) return false;
  uint16_t short_len = (uint16_t)len;
  transfer_pack_put_tagged(L, p, TRANSFER_NAMED, &short_len, sizeof short_len);
  transfer_pack_put(L, p, name, len);
  lua_pop(L, 2);
  return true;
}

static void put_string(lua_State *L, Packer *p) {
  size_t len;
  const char *s = lua_tolstring(L, -1, &len);
  if (len < SHARE_STRINGS_FROM) {
    uint8_t short_len = (uint8_t)len;
    transfer_pack_put_tagged(L, p, TRANSFER_SHORT_STRING, &short_len, sizeof short_len);
  } else {
    if (transfer_pack_if_seen(L, p)) return;
    uint64_t long_len = len;
    transfer_pack_put_tagged(L, p, TRANSFER_LONG_STRING, &long_len, sizeof long_len);
  }
  transfer_pack_put(L, p, s, len);
  lua_pop(L, 1);
}

static void open_userdata(lua_State *L, Packer *p) {
  if (transfer_pack_if_seen(L, p)) return;
  size_t offset = transfer_pack_here(p);
  if (transfer_pack_if_named(L, p)) return;
  const char *name = NULL;
  if (luaL_getmetafield(L, -1, "__name") == LUA_TSTRING) name = lua_tostring(L, -1);
  if (!name) transfer_pack_refuse(L, p, "a userdata, which cannot leave its Lua state");
  luaL_getmetatable(L, name);
  lua_getmetatable(L, -3);
  bool genuine = lua_rawequal(L, -1, -2);
  lua_pop(L, 2);
  size_t len = strlen(name);
  if (!genuine || len > UINT8_MAX || !transfer_names_push_type(L, name, false)) {
    transfer_pack_refuse(
        L, p, lua_pushfstring(L, "a userdata (%s), which cannot leave its Lua state", name));
  }
  uint8_t short_len = (uint8_t)len;
  transfer_pack_put_tagged(L, p, TRANSFER_USERDATA, &short_len, 1);
  transfer_pack_put(L, p, name, len);
  lua_rawgeti(L, -1, 1);
  lua_pushvalue(L, -4);
  lua_call(L, 1, 2);
  if (lua_isnil(L, -2)) transfer_pack_refuse(L, p, luaL_tolstring(L, -1, NULL));
  lua_pop(L, 1);
  if (lua_isnil(L, PACK_ANCHORS)) {
    lua_newtable(L);
    lua_replace(L, PACK_ANCHORS);
  }
  lua_pushvalue(L, -1);
  lua_rawseti(L, PACK_ANCHORS, (lua_Integer)lua_rawlen(L, PACK_ANCHORS) + 1);
  lua_replace(L, -3); /* userdata, what stands for it */
  lua_pop(L, 1);
  transfer_pack_push_frame(L, p, USERDATA, offset)->index--;
}

void transfer_pack_value(lua_State *L, Packer *p) {
  switch (lua_type(L, -1)) {
  case LUA_TNIL:
    transfer_pack_put_tag(L, p, TRANSFER_NIL);
    break;
  case LUA_TBOOLEAN:
    transfer_pack_put_tag(L, p, lua_toboolean(L, -1) ? TRANSFER_TRUE : TRANSFER_FALSE);
    break;
  case LUA_TNUMBER:
    transfer_pack_if_number(L, p, -1);
    break;
  case LUA_TLIGHTUSERDATA:
    if (json_is_null(L, -1))
      transfer_pack_put_tag(L, p, TRANSFER_JSON_NULL);
    else if (!lua_touserdata(L, -1))
      transfer_pack_put_tag(L, p, TRANSFER_NULL);
    else
      transfer_pack_refuse(L, p, "a light userdata");
    break;
  case LUA_TSTRING:
    put_string(L, p);
    return;
  case LUA_TTABLE:
    transfer_pack_open_table(L, p);
    return;
  case LUA_TFUNCTION:
    transfer_pack_open_function(L, p);
    return;
  case LUA_TUSERDATA:
    open_userdata(L, p);
    return;
  default:
    transfer_pack_refuse(L, p, "a coroutine");
  }
  lua_pop(L, 1);
}

static void step(lua_State *L, Packer *p) {
  PackFrame *f = &p->frames[p->depth - 1];
  switch (f->state) {
  case FUNCTION:
    transfer_pack_step_function(L, p);
    break;
  case USERDATA:
    if (f->items++ == 0)
      transfer_pack_value(L, p);
    else
      transfer_pack_pop_frame(L, p);
    break;
  default:
    transfer_pack_step_table(L, p);
  }
}

/* Protected: (packer as light userdata, values...) */
static int l_pack(lua_State *L) {
  Packer *p = lua_touserdata(L, 1);
  transfer_names_push(L);
  lua_insert(L, PACK_NAMES);
  lua_pushnil(L);
  lua_insert(L, PACK_ANCHORS);
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  uint32_t count = (uint32_t)p->count;
  transfer_pack_put(L, p, &count, sizeof count);
  for (p->root = 1; p->root <= p->count; p->root++) {
    lua_pushvalue(L, PACK_FIRST_ROOT + p->root - 1);
    transfer_pack_value(L, p);
    while (p->depth) step(L, p);
  }
  return 0;
}

bool transfer_pack(lua_State *L, int first, int count, const char *what, TransferMessage *out) {
  transfer_clear(out);
  first = lua_absindex(L, first);
  if (!lua_checkstack(L, count + 4)) {
    lua_settop(L, first + count - 1);
    lua_pushliteral(L, "cannot send: too many values");
    return false;
  }
  Packer p;
  p.message = out;
  p.out = &out->bytes;
  p.max = out->max_bytes ? out->max_bytes : TRANSFER_MAX_BYTES;
  p.scratch = (Buffer){0};
  p.what = what;
  p.count = count;
  p.root = 0;
  p.names_fresh = false;
  p.frames = p.few_frames;
  p.depth = 0;
  p.frames_cap = PACK_FEW_FRAMES;
  p.seen = p.few_seen;
  p.seen_count = 0;
  p.seen_cap = PACK_FEW_SEEN;
  memset(p.few_seen, 0, sizeof p.few_seen);
  lua_pushcfunction(L, l_pack);
  lua_pushlightuserdata(L, &p);
  for (int i = 0; i < count; i++) lua_pushvalue(L, first + i);
  int status = lua_pcall(L, count + 1, 0, 0);
  if (p.seen != p.few_seen) free(p.seen);
  if (p.frames != p.few_frames) free(p.frames);
  buffer_free(&p.scratch);
  if (status != LUA_OK) transfer_clear(out);
  return status == LUA_OK;
}

void transfer_clear(TransferMessage *message) {
  while (message->code_count) transfer_code_drop(message->codes[--message->code_count]);
  message->bytes.len = 0;
}

void transfer_free(TransferMessage *message) {
  transfer_clear(message);
  buffer_free(&message->bytes);
  free(message->codes);
  *message = (TransferMessage){0};
}
