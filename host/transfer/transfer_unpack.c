/* Unpacking, also without recursion: values being filled lie on the Lua stack, outermost first,
   with a frame for each. Nothing in the bytes is trusted. */
#include "transfer/transfer_unpack.h"
#include "core/counted_list.h"
#include "core/error.h"
#include "transfer/transfer_names.h"
#include "json/json.h"

#include <limits.h>
#include <stdlib.h>

/* The stack index of the table offset -> value of what is shared, or nil. */
#define SHARED_VALUES 2

static UnpackFrame *push_frame(lua_State *L, Unpacker *u) {
  luaL_checkstack(L, LUA_MINSTACK, "message nested too deeply");
  if (u->depth == u->cap) {
    bool few = u->frames == u->few_frames;
    UnpackFrame *wider = realloc(few ? NULL : u->frames, u->cap * 2 * sizeof *wider);
    if (!wider) luaL_error(L, "not enough memory");
    if (few) memcpy(wider, u->frames, sizeof u->few_frames);
    u->frames = wider;
    u->cap *= 2;
  }
  return &u->frames[u->depth++];
}

/* Keeps the value on the top of L for references to `offset`. */
static void keep_shared(lua_State *L, size_t offset) {
  if (lua_isnil(L, SHARED_VALUES)) {
    lua_newtable(L);
    lua_replace(L, SHARED_VALUES);
  }
  lua_pushvalue(L, -1);
  lua_rawseti(L, SHARED_VALUES, (lua_Integer)offset);
}

/* Pushes what the 8 bytes that follow refer to. */
static int push_shared(lua_State *L, Unpacker *u) {
  UNPACK_TAKE(uint64_t, offset);
  if (lua_isnil(L, SHARED_VALUES)) unpack_damaged(L, u);
  int type = lua_rawgeti(L, SHARED_VALUES, (lua_Integer)offset);
  if (type == LUA_TNIL) unpack_damaged(L, u);
  return type;
}

static bool open_table(lua_State *L, Unpacker *u, size_t offset, bool shared) {
  uint8_t kind = unpack_take_u8(L, u);
  UNPACK_TAKE(uint32_t, items);
  UNPACK_TAKE(uint32_t, pairs);
  size_t rest = u->size - u->at; /* a value takes a byte at least */
  if (kind > TRANSFER_WITH_METATABLE || items > rest || pairs > (rest - items) / 2)
    unpack_damaged(L, u);
  if (items > INT_MAX || pairs > INT_MAX) unpack_damaged(L, u);
  lua_createtable(L, (int)items, (int)pairs);
  if (shared) keep_shared(L, offset);
  *push_frame(L, u) = (UnpackFrame){.type = TABLE,
                                    .kind = kind,
                                    .meta = kind == TRANSFER_WITH_METATABLE,
                                    .index = lua_gettop(L),
                                    .items = items,
                                    .pairs = pairs};
  return false;
}

/* Reads a value. True if it is complete, on the top of L; otherwise it became the innermost
   frame. */
static bool read_value(lua_State *L, Unpacker *u) {
  size_t offset = u->at;
  uint8_t byte = unpack_take_u8(L, u);
  bool shared = byte & TRANSFER_SHARED;
  switch (byte & ~TRANSFER_SHARED) {
  case TRANSFER_NIL:
    lua_pushnil(L);
    break;
  case TRANSFER_FALSE:
    lua_pushboolean(L, false);
    break;
  case TRANSFER_TRUE:
    lua_pushboolean(L, true);
    break;
  case TRANSFER_INTEGER: {
    UNPACK_TAKE(lua_Integer, value);
    lua_pushinteger(L, value);
    break;
  }
  case TRANSFER_FLOAT: {
    UNPACK_TAKE(lua_Number, value);
    lua_pushnumber(L, value);
    break;
  }
  case TRANSFER_SHORT_STRING: {
    uint8_t len = unpack_take_u8(L, u);
    lua_pushlstring(L, unpack_take(L, u, len), len);
    break;
  }
  case TRANSFER_LONG_STRING: {
    UNPACK_TAKE(uint64_t, len);
    lua_pushlstring(L, unpack_take(L, u, len), len);
    break;
  }
  case TRANSFER_NULL:
    lua_pushlightuserdata(L, NULL);
    break;
  case TRANSFER_JSON_NULL:
    json_push_null(L);
    break;
  case TRANSFER_GLOBALS:
    lua_pushglobaltable(L);
    break;
  case TRANSFER_NAMED: {
    UNPACK_TAKE(uint16_t, len);
    const char *name = unpack_take(L, u, len);
    if (!transfer_names_push_value(L, name, len)) {
      const char *field = memchr(name, 0, len) ? name + strlen(name) + 1 : name;
      lua_pushlstring(L, field, (size_t)(name + len - field));
      luaL_error(L, "there is no '%s.%s' in this state", field > name ? name : "?",
                 lua_tostring(L, -1));
    }
    break;
  }
  case TRANSFER_REFERENCE:
    push_shared(L, u);
    break;
  case TRANSFER_TABLE:
    return open_table(L, u, offset, shared);
  case TRANSFER_FUNCTION: {
    uint8_t upvalues = unpack_take_u8(L, u);
    bool another = unpack_take_u8(L, u) != 0;
    UNPACK_TAKE(uint32_t, code);
    if (code >= u->message->code_count || upvalues != u->message->codes[code]->upvalues)
      unpack_damaged(L, u);
    transfer_code_push_function(L, u->message->codes[code], another);
    if (shared) keep_shared(L, offset);
    *push_frame(L, u) = (UnpackFrame){.type = FUNCTION, .index = lua_gettop(L), .items = upvalues};
    return false;
  }
  case TRANSFER_USERDATA: {
    uint8_t len = unpack_take_u8(L, u);
    const char *name = unpack_take(L, u, len);
    lua_pushlstring(L, name, len);
    if (!transfer_names_push_type(L, lua_tostring(L, -1), true)) {
      luaL_error(L, "no userdata type '%s' in this state", lua_tostring(L, -1));
    }
    lua_remove(L, -2);
    *push_frame(L, u) = (UnpackFrame){
        .type = USERDATA, .shared = shared, .offset = offset, .index = lua_gettop(L), .items = 1};
    return false;
  }
  default:
    unpack_damaged(L, u);
  }
  if (shared) keep_shared(L, offset);
  return true;
}

/* Makes the value on the top of L the metatable of the table in `f`. */
static void set_metatable(lua_State *L, Unpacker *u, UnpackFrame *f) {
  if (!lua_istable(L, -1)) unpack_damaged(L, u);
  lua_pushliteral(L, "__gc");
  if (lua_rawget(L, -2) != LUA_TNIL) unpack_damaged(L, u);
  lua_pop(L, 1);
  lua_setmetatable(L, f->index);
  f->meta = false;
}

/* Puts the value on the top of L where the innermost frame wants it. */
static void put_value(lua_State *L, Unpacker *u) {
  UnpackFrame *f = &u->frames[u->depth - 1];
  if (f->type == TABLE) {
    if (f->done < f->items) {
      lua_rawseti(L, f->index, ++f->done);
    } else if (!f->pairs) {
      set_metatable(L, u, f);
    } else if (!f->have_key) {
      if (lua_isnil(L, -1)) unpack_damaged(L, u);
      if (lua_type(L, -1) == LUA_TNUMBER && lua_tonumber(L, -1) != lua_tonumber(L, -1)) {
        unpack_damaged(L, u);
      }
      f->have_key = true;
    } else {
      lua_rawset(L, f->index);
      f->have_key = false;
      f->pairs--;
    }
  } else if (f->type == FUNCTION) {
    if (!lua_setupvalue(L, f->index, (int)++f->done)) unpack_damaged(L, u);
  } else {
    f->done++;
    lua_rawgeti(L, f->index, 2);
    lua_insert(L, -2);
    lua_call(L, 1, 1);
    lua_replace(L, f->index);
  }
}

/* An upvalue that is the same variable as one of a function before. */
static void join_upvalue(lua_State *L, Unpacker *u, UnpackFrame *f) {
  int type = push_shared(L, u);
  int upvalue = unpack_take_u8(L, u);
  f->done++;
  if (type != LUA_TFUNCTION || lua_iscfunction(L, -1) || !lua_upvalueid(L, -1, upvalue) ||
      !lua_upvalueid(L, f->index, (int)f->done)) {
    unpack_damaged(L, u);
  }
  lua_upvaluejoin(L, f->index, (int)f->done, -1, upvalue);
  lua_pop(L, 1);
}

/* The innermost frame is complete: its value is now on the top of L. */
static void close_frame(lua_State *L, Unpacker *u) {
  UnpackFrame *f = &u->frames[--u->depth];
  if (f->type == TABLE) {
    if (f->kind == TRANSFER_ERROR) {
      error_set_metatable(L);
    } else if (f->kind == TRANSFER_JSON_ARRAY) {
      json_set_mark(L, -1, JSON_ARRAY);
    } else if (f->kind == TRANSFER_JSON_OBJECT) {
      json_set_mark(L, -1, JSON_OBJECT);
    } else if (f->kind == TRANSFER_COUNTED_LIST) {
      counted_list_push_class(L);
      lua_setmetatable(L, -2);
    }
  } else if (f->type == USERDATA && f->shared) {
    keep_shared(L, f->offset);
  }
}

/* Pushes one value with everything in it. */
static void unpack_value(lua_State *L, Unpacker *u) {
  bool complete = read_value(L, u);
  while (u->depth) {
    if (complete) put_value(L, u);
    UnpackFrame *f = &u->frames[u->depth - 1];
    if (f->type == TABLE) transfer_unpack_numbers(L, u, f);
    if (f->done == f->items && !f->pairs && !f->meta) {
      close_frame(L, u);
      complete = true;
    } else if (f->type == FUNCTION && u->at < u->size &&
               (uint8_t)u->data[u->at] == TRANSFER_UPVALUE_REFERENCE) {
      u->at++;
      join_upvalue(L, u, f);
      complete = false;
    } else {
      complete = read_value(L, u);
    }
  }
}

/* Protected: (unpacker as light userdata) -> values... */
static int l_unpack(lua_State *L) {
  Unpacker *u = lua_touserdata(L, 1);
  lua_pushnil(L);
  UNPACK_TAKE(uint32_t, count);
  if (count > u->size - u->at) unpack_damaged(L, u);
  for (uint32_t i = 0; i < count; i++) {
    luaL_checkstack(L, LUA_MINSTACK, "too many values");
    unpack_value(L, u);
  }
  if (u->at != u->size) unpack_damaged(L, u);
  return (int)count;
}

int transfer_unpack(lua_State *L, const TransferMessage *message) {
  int top = lua_gettop(L);
  if (!lua_checkstack(L, 3)) return -1; /* LUA_MINSTACK has room for the message */
  Unpacker u;
  u.message = message;
  u.data = message->bytes.data;
  u.size = message->bytes.len;
  u.at = 0;
  u.frames = u.few_frames;
  u.depth = 0;
  u.cap = UNPACK_FEW_FRAMES;
  lua_pushcfunction(L, l_unpack);
  lua_pushlightuserdata(L, &u);
  int status = lua_pcall(L, 1, LUA_MULTRET, 0);
  if (u.frames != u.few_frames) free(u.frames);
  return status == LUA_OK ? lua_gettop(L) - top : -1;
}
