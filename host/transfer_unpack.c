/* Unpacking, also without recursion: what is being filled lies on the Lua stack, outermost first,
   with a frame for each. Nothing in the bytes is trusted but the bytecode of functions. */
#include "error.h"
#include "json.h"
#include "transfer.h"
#include "transfer_format.h"

#include <lauxlib.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define SHARED_VALUES                                                                              \
  2 /* the stack index of the table offset -> value of what is shared, or nil                      \
     */

/* A table, function or userdata that is being filled. */
typedef struct Frame {
  enum { TABLE, FUNCTION, USERDATA } type;
  uint8_t kind;   /* TransferTableKind */
  bool have_key;  /* the key of the next pair lies on the stack */
  bool shared;    /* it is referred to */
  int index;      /* where it is on the stack; a userdata: where its type is */
  size_t offset;  /* of its tag */
  uint32_t done;  /* items or upvalues that are in place */
  uint32_t items; /* items or upvalues that it has */
  uint32_t pairs; /* still to come */
} Frame;

#define FEW_FRAMES 8

typedef struct Unpacker {
  const char *data;
  size_t size, at;
  Frame *frames;
  size_t depth, cap;
  Frame few_frames[FEW_FRAMES];
} Unpacker;

static int damaged(lua_State *L, const Unpacker *u) {
  return luaL_error(L, "damaged message (at byte %I)", (lua_Integer)u->at);
}

static const char *take(lua_State *L, Unpacker *u, size_t n) {
  if (u->size - u->at < n) damaged(L, u);
  const char *bytes = u->data + u->at;
  u->at += n;
  return bytes;
}

static uint8_t take_u8(lua_State *L, Unpacker *u) { return (uint8_t)*take(L, u, 1); }

#define TAKE(type, name)                                                                           \
  type name;                                                                                       \
  memcpy(&name, take(L, u, sizeof name), sizeof name)

static Frame *push_frame(lua_State *L, Unpacker *u) {
  luaL_checkstack(L, LUA_MINSTACK, "message nested too deeply");
  if (u->depth == u->cap) {
    bool few = u->frames == u->few_frames;
    Frame *wider = realloc(few ? NULL : u->frames, u->cap * 2 * sizeof *wider);
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
  TAKE(uint64_t, offset);
  if (lua_isnil(L, SHARED_VALUES)) damaged(L, u);
  int type = lua_rawgeti(L, SHARED_VALUES, (lua_Integer)offset);
  if (type == LUA_TNIL) damaged(L, u);
  return type;
}

static void load_function(lua_State *L, Unpacker *u) {
  TAKE(uint32_t, length);
  const char *code = take(L, u, length);
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
  (void)code; /* Lua does not check bytecode, so the fuzzer may not make any */
  if (luaL_dostring(L, "local a, b, c return function() return a, b, c end")) lua_error(L);
#else
  if (luaL_loadbufferx(L, code, length, "=function", "b")) lua_error(L);
#endif
}

static bool open_table(lua_State *L, Unpacker *u, size_t offset, bool shared) {
  uint8_t kind = take_u8(L, u);
  TAKE(uint32_t, items);
  TAKE(uint32_t, pairs);
  size_t rest = u->size - u->at; /* a value takes a byte at least */
  if (kind > TRANSFER_ERROR || items > rest || pairs > (rest - items) / 2) damaged(L, u);
  if (items > INT_MAX || pairs > INT_MAX) damaged(L, u);
  lua_createtable(L, (int)items, (int)pairs);
  if (shared) keep_shared(L, offset);
  *push_frame(L, u) =
      (Frame){.type = TABLE, .kind = kind, .index = lua_gettop(L), .items = items, .pairs = pairs};
  return false;
}

/* Reads a value. True when it is complete, on the top of L; else it became the innermost frame. */
static bool read_value(lua_State *L, Unpacker *u) {
  size_t offset = u->at;
  uint8_t byte = take_u8(L, u);
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
    TAKE(lua_Integer, value);
    lua_pushinteger(L, value);
    break;
  }
  case TRANSFER_FLOAT: {
    TAKE(lua_Number, value);
    lua_pushnumber(L, value);
    break;
  }
  case TRANSFER_SHORT_STRING: {
    uint8_t len = take_u8(L, u);
    lua_pushlstring(L, take(L, u, len), len);
    break;
  }
  case TRANSFER_LONG_STRING: {
    TAKE(uint64_t, len);
    lua_pushlstring(L, take(L, u, len), len);
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
    TAKE(uint16_t, len);
    const char *name = take(L, u, len);
    if (!transfer_push_named(L, name, len)) {
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
    uint8_t upvalues = take_u8(L, u);
    load_function(L, u);
    if (shared) keep_shared(L, offset);
    *push_frame(L, u) = (Frame){.type = FUNCTION, .index = lua_gettop(L), .items = upvalues};
    return false;
  }
  case TRANSFER_USERDATA: {
    uint8_t len = take_u8(L, u);
    const char *name = take(L, u, len);
    lua_pushlstring(L, name, len);
    if (!transfer_push_type(L, lua_tostring(L, -1), true)) {
      luaL_error(L, "no userdata type '%s' in this state", lua_tostring(L, -1));
    }
    lua_remove(L, -2);
    *push_frame(L, u) = (Frame){
        .type = USERDATA, .shared = shared, .offset = offset, .index = lua_gettop(L), .items = 1};
    return false;
  }
  default:
    damaged(L, u);
  }
  if (shared) keep_shared(L, offset);
  return true;
}

/* Puts the value on the top of L where the innermost frame wants it. */
static void put_value(lua_State *L, Unpacker *u) {
  Frame *f = &u->frames[u->depth - 1];
  if (f->type == TABLE) {
    if (f->done < f->items) {
      lua_rawseti(L, f->index, ++f->done);
    } else if (!f->have_key) {
      if (lua_isnil(L, -1)) damaged(L, u);
      if (lua_type(L, -1) == LUA_TNUMBER && lua_tonumber(L, -1) != lua_tonumber(L, -1)) {
        damaged(L, u);
      }
      f->have_key = true;
    } else {
      lua_rawset(L, f->index);
      f->have_key = false;
      f->pairs--;
    }
  } else if (f->type == FUNCTION) {
    if (!lua_setupvalue(L, f->index, (int)++f->done)) damaged(L, u);
  } else {
    f->done++;
    lua_rawgeti(L, f->index, 2);
    lua_insert(L, -2);
    lua_call(L, 1, 1);
    lua_replace(L, f->index);
  }
}

/* An upvalue that is the same variable as one of a function before. */
static void join_upvalue(lua_State *L, Unpacker *u, Frame *f) {
  int type = push_shared(L, u);
  int upvalue = take_u8(L, u);
  f->done++;
  if (type != LUA_TFUNCTION || lua_iscfunction(L, -1) || !lua_upvalueid(L, -1, upvalue) ||
      !lua_upvalueid(L, f->index, (int)f->done)) {
    damaged(L, u);
  }
  lua_upvaluejoin(L, f->index, (int)f->done, -1, upvalue);
  lua_pop(L, 1);
}

/* The innermost frame is complete: what it made is now a value on the top of L. */
static void close_frame(lua_State *L, Unpacker *u) {
  Frame *f = &u->frames[--u->depth];
  if (f->type == TABLE) {
    if (f->kind == TRANSFER_ERROR)
      error_set_metatable(L);
    else if (f->kind == TRANSFER_JSON_ARRAY)
      json_set_mark(L, -1, JSON_ARRAY);
    else if (f->kind == TRANSFER_JSON_OBJECT)
      json_set_mark(L, -1, JSON_OBJECT);
  } else if (f->type == USERDATA && f->shared) {
    keep_shared(L, f->offset);
  }
}

/* Puts the numbers that come next into the list that is the innermost frame. */
static void unpack_numbers(lua_State *L, Unpacker *u, Frame *f) {
  const size_t size = 1 + sizeof(lua_Number);
  const char *at = u->data + u->at, *end = u->data + u->size;
  int index = f->index;
  uint32_t done = f->done;
  for (; done < f->items && (size_t)(end - at) >= size; at += size) {
    if (*at == TRANSFER_FLOAT) {
      lua_Number value;
      memcpy(&value, at + 1, sizeof value);
      lua_pushnumber(L, value);
    } else if (*at == TRANSFER_INTEGER) {
      lua_Integer value;
      memcpy(&value, at + 1, sizeof value);
      lua_pushinteger(L, value);
    } else {
      break;
    }
    lua_rawseti(L, index, ++done);
  }
  u->at = (size_t)(at - u->data);
  f->done = done;
}

/* Pushes one value with all that is in it. */
static void unpack_value(lua_State *L, Unpacker *u) {
  bool complete = read_value(L, u);
  while (u->depth) {
    if (complete) put_value(L, u);
    Frame *f = &u->frames[u->depth - 1];
    if (f->type == TABLE) unpack_numbers(L, u, f);
    if (f->done == f->items && !f->pairs) {
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
  TAKE(uint32_t, count);
  if (count > u->size - u->at) damaged(L, u);
  for (uint32_t i = 0; i < count; i++) {
    luaL_checkstack(L, LUA_MINSTACK, "too many values");
    unpack_value(L, u);
  }
  if (u->at != u->size) damaged(L, u);
  return (int)count;
}

int transfer_unpack(lua_State *L, const char *data, size_t size) {
  int top = lua_gettop(L);
  if (!lua_checkstack(L, 3)) return -1; /* LUA_MINSTACK has room for the message */
  Unpacker u;
  u.data = data;
  u.size = size;
  u.at = 0;
  u.frames = u.few_frames;
  u.depth = 0;
  u.cap = FEW_FRAMES;
  lua_pushcfunction(L, l_unpack);
  lua_pushlightuserdata(L, &u);
  int status = lua_pcall(L, 1, LUA_MULTRET, 0);
  if (u.frames != u.few_frames) free(u.frames);
  return status == LUA_OK ? lua_gettop(L) - top : -1;
}
