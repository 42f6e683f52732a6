/* Unpacking, also without recursion: what is being filled lies on the Lua stack, outermost first,
   with a frame for each. Nothing in the bytes is trusted. */
#include "error.h"
#include "json.h"
#include "transfer.h"
#include "transfer_format.h"

#include <lauxlib.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* The stack index of the table offset -> value of what is shared, or nil. */
#define SHARED_VALUES 2

/* A list of this many numbers or more is made by a function of its arguments, which is the fastest
   way to fill a table; of more than that many one by one: the stack has its limits. */
#define FEW_NUMBERS 64u
#define MANY_NUMBERS 150000u

static const char list_maker_key; /* its address is the registry's key of that function */

/* A table, function or userdata that is being filled. */
typedef struct Frame {
  enum { TABLE, FUNCTION, USERDATA } type;
  uint8_t kind;   /* TransferTableKind */
  bool have_key;  /* the key of the next pair lies on the stack */
  bool shared;    /* it is referred to */
  bool meta;      /* its metatable is still to come */
  int index;      /* where it is on the stack; a userdata: where its type is */
  size_t offset;  /* of its tag */
  uint32_t done;  /* items or upvalues that are in place */
  uint32_t items; /* items or upvalues that it has */
  uint32_t pairs; /* still to come */
} Frame;

#define FEW_FRAMES 8

typedef struct Unpacker {
  const TransferMessage *message;
  const char *data; /* its bytes */
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

static inline lua_Integer integer_at(const char *at) {
  lua_Integer value;
  memcpy(&value, at, sizeof value);
  return value;
}

static inline lua_Number number_at(const char *at) {
  lua_Number value;
  memcpy(&value, at, sizeof value);
  return value;
}

/* Reads the head of a run of numbers, of at most `max`, and returns its numbers. */
static const char *take_run(lua_State *L, Unpacker *u, uint32_t max, uint32_t *count) {
  u->at++;
  TAKE(uint32_t, n);
  if (n == 0 || n > max) damaged(L, u);
  *count = n;
  return take(L, u, (size_t)n * sizeof(lua_Integer));
}

/* A run of numbers of one kind that becomes a table. */
typedef struct Numbers {
  bool integers;
  const char *at;
  uint32_t count;
} Numbers;

/* (Numbers as light userdata) -> the numbers, nil. The nil gives the list room for one more, by
   which packing it again finds that it is in the array part (transfer_pack_table.c). */
static int l_push_numbers(lua_State *L) {
  const Numbers *numbers = lua_touserdata(L, 1);
  const char *at = numbers->at, *end = at + (size_t)numbers->count * sizeof(lua_Integer);
  luaL_checkstack(L, (int)numbers->count + 1, "a list too long");
  if (numbers->integers) {
    for (; at < end; at += sizeof(lua_Integer)) lua_pushinteger(L, integer_at(at));
  } else {
    for (; at < end; at += sizeof(lua_Number)) lua_pushnumber(L, number_at(at));
  }
  lua_pushnil(L);
  return (int)numbers->count + 1;
}

/* Pushes a list of the numbers. Lua's table constructor fills it in one go, where lua_rawseti looks
   for the place of each. */
static void push_list(lua_State *L, Numbers *numbers) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &list_maker_key) != LUA_TFUNCTION) {
    lua_pop(L, 1);
    if (luaL_loadstring(L, "local push, numbers = ... return {push(numbers)}") != LUA_OK)
      lua_error(L);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &list_maker_key);
  }
  lua_pushcfunction(L, l_push_numbers);
  lua_pushlightuserdata(L, numbers);
  lua_call(L, 2, 1);
}

/* If the table that begins here is nothing but numbers of one kind, pushes it. */
static bool push_if_numbers(lua_State *L, Unpacker *u, uint32_t items, uint32_t pairs) {
  if (pairs || items < FEW_NUMBERS || items > MANY_NUMBERS || u->at == u->size) return false;
  TransferTag tag = (uint8_t)u->data[u->at];
  if (tag != TRANSFER_INTEGERS && tag != TRANSFER_FLOATS) return false;
  size_t at = u->at;
  Numbers numbers = {.integers = tag == TRANSFER_INTEGERS};
  numbers.at = take_run(L, u, items, &numbers.count);
  if (numbers.count == items) {
    push_list(L, &numbers);
    return true;
  }
  u->at = at;
  return false;
}

static bool open_table(lua_State *L, Unpacker *u, size_t offset, bool shared) {
  uint8_t kind = take_u8(L, u);
  TAKE(uint32_t, items);
  TAKE(uint32_t, pairs);
  size_t rest = u->size - u->at; /* a value takes a byte at least */
  if (kind > TRANSFER_WITH_METATABLE || items > rest || pairs > (rest - items) / 2) damaged(L, u);
  if (items > INT_MAX || pairs > INT_MAX) damaged(L, u);
  bool filled = push_if_numbers(L, u, items, pairs);
  if (!filled) lua_createtable(L, (int)items, (int)pairs);
  if (shared) keep_shared(L, offset);
  *push_frame(L, u) = (Frame){.type = TABLE,
                              .kind = kind,
                              .meta = kind == TRANSFER_WITH_METATABLE,
                              .index = lua_gettop(L),
                              .done = filled ? items : 0,
                              .items = items,
                              .pairs = pairs};
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
    bool another = take_u8(L, u) != 0;
    TAKE(uint32_t, code);
    if (code >= u->message->code_count || upvalues != u->message->codes[code]->upvalues)
      damaged(L, u);
    code_push_function(L, u->message->codes[code], another);
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

/* The value on the top of L becomes the metatable of the table in `f`. */
static void set_metatable(lua_State *L, Unpacker *u, Frame *f) {
  if (!lua_istable(L, -1)) damaged(L, u);
  lua_pushliteral(L, "__gc");
  if (lua_rawget(L, -2) != LUA_TNIL) damaged(L, u);
  lua_pop(L, 1);
  lua_setmetatable(L, f->index);
  f->meta = false;
}

/* Puts the value on the top of L where the innermost frame wants it. */
static void put_value(lua_State *L, Unpacker *u) {
  Frame *f = &u->frames[u->depth - 1];
  if (f->type == TABLE) {
    if (f->done < f->items) {
      lua_rawseti(L, f->index, ++f->done);
    } else if (!f->pairs) {
      set_metatable(L, u, f);
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
  while (f->done < f->items && u->at < u->size) {
    TransferTag tag = (uint8_t)u->data[u->at];
    if (tag != TRANSFER_INTEGERS && tag != TRANSFER_FLOATS) return;
    uint32_t n;
    const char *at = take_run(L, u, f->items - f->done, &n);
    for (; n; n--, at += sizeof(lua_Integer)) {
      if (tag == TRANSFER_INTEGERS)
        lua_pushinteger(L, integer_at(at));
      else
        lua_pushnumber(L, number_at(at));
      lua_rawseti(L, f->index, ++f->done);
    }
  }
}

/* Pushes one value with all that is in it. */
static void unpack_value(lua_State *L, Unpacker *u) {
  bool complete = read_value(L, u);
  while (u->depth) {
    if (complete) put_value(L, u);
    Frame *f = &u->frames[u->depth - 1];
    if (f->type == TABLE) unpack_numbers(L, u, f);
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
  TAKE(uint32_t, count);
  if (count > u->size - u->at) damaged(L, u);
  for (uint32_t i = 0; i < count; i++) {
    luaL_checkstack(L, LUA_MINSTACK, "too many values");
    unpack_value(L, u);
  }
  if (u->at != u->size) damaged(L, u);
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
  u.cap = FEW_FRAMES;
  lua_pushcfunction(L, l_unpack);
  lua_pushlightuserdata(L, &u);
  int status = lua_pcall(L, 1, LUA_MULTRET, 0);
  if (u.frames != u.few_frames) free(u.frames);
  return status == LUA_OK ? lua_gettop(L) - top : -1;
}
