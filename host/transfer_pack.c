/* Packing: a walk over the values without recursion. What is being packed (tables, functions) lies
   on the Lua stack, outermost first; a frame for each says how far it is. */
#include "error.h"
#include "json.h"
#include "transfer.h"
#include "transfer_format.h"

#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Stack indexes. */
#define NAMES 2      /* the table of names */
#define ANCHORS 3    /* a list of values made here, or nil: an address may not be used again */
#define FIRST_ROOT 4 /* the first value of the message */

/* Strings from this length on are packed once however often they occur. */
#define SHARE_STRINGS_FROM 64

/* A table, function or userdata that is being packed. On the stack, a table is followed by the key
   that lua_next wants, and that by the value while its key is being packed. */
typedef struct Frame {
  enum { TABLE_ITEMS, TABLE_PAIRS, TABLE_VALUE, FUNCTION, USERDATA } state;
  int index;      /* where it is on the stack */
  size_t offset;  /* of its tag, from the start of the message */
  uint32_t items; /* packed so far; upvalues of a function */
  uint32_t pairs;
} Frame;

/* Where something was packed that has an identity. */
typedef struct Seen {
  const void *identity; /* NULL: a free slot */
  size_t offset;        /* of its tag; for an upvalue, of its function's */
  uint8_t upvalue;      /* for an upvalue, which one */
} Seen;

/* The buffer grows at once for lists from this length on. */
#define LONG_LIST 64u
#define MAX_HINT ((size_t)1 << 26)

#define MAX_PATH 16 /* levels of tables that an error message shows */

#define FEW_SEEN 16
#define FEW_FRAMES 8

typedef struct Packer {
  Buffer *out;
  size_t start; /* where the message begins in `out` */
  const char *what;
  int count;
  int root; /* which value is being packed, from 1 */
  bool names_fresh;
  Frame *frames;
  size_t depth, frames_cap;
  Seen *seen; /* open addressing; a power of two slots */
  size_t seen_count, seen_cap;
  Frame few_frames[FEW_FRAMES];
  Seen few_seen[FEW_SEEN];
} Packer;

static int out_of_memory(lua_State *L) { return luaL_error(L, "not enough memory"); }

/* --- the bytes --- */

static void put(lua_State *L, Packer *p, const void *bytes, size_t n) {
  if (!buffer_add(p->out, bytes, n)) out_of_memory(L);
}

static void put_tag(lua_State *L, Packer *p, TransferTag tag) {
  if (!buffer_add_char(p->out, (char)tag)) out_of_memory(L);
}

/* A tag and `n` <= 8 bytes. */
static inline void put_tagged(lua_State *L, Packer *p, TransferTag tag, const void *bytes,
                              size_t n) {
  if (!buffer_reserve(p->out, 9)) out_of_memory(L);
  char *at = p->out->data + p->out->len;
  *at = (char)tag;
  memcpy(at + 1, bytes, n);
  p->out->len += 1 + n;
}

/* If the value at `index` is a number, packs it. */
static inline bool put_if_number(lua_State *L, Packer *p, int index) {
  if (lua_isinteger(L, index)) {
    lua_Integer value = lua_tointeger(L, index);
    put_tagged(L, p, TRANSFER_INTEGER, &value, sizeof value);
  } else if (lua_type(L, index) == LUA_TNUMBER) {
    lua_Number value = lua_tonumber(L, index);
    put_tagged(L, p, TRANSFER_FLOAT, &value, sizeof value);
  } else {
    return false;
  }
  return true;
}

static size_t here(const Packer *p) { return p->out->len - p->start; }

/* --- what was packed before --- */

static size_t seen_slot(const Packer *p, const void *identity) {
  size_t mask = p->seen_cap - 1;
  uint64_t hash = (uint64_t)(uintptr_t)identity * 0x9E3779B97F4A7C15u;
  size_t slot = (size_t)(hash >> 32) & mask;
  while (p->seen[slot].identity && p->seen[slot].identity != identity) slot = (slot + 1) & mask;
  return slot;
}

static void seen_grow(lua_State *L, Packer *p) {
  Seen *old = p->seen;
  size_t old_cap = p->seen_cap;
  Seen *wider = calloc(old_cap * 4, sizeof *wider);
  if (!wider) out_of_memory(L);
  p->seen = wider;
  p->seen_cap = old_cap * 4;
  for (size_t i = 0; i < old_cap; i++) {
    if (old[i].identity) p->seen[seen_slot(p, old[i].identity)] = old[i];
  }
  if (old != p->few_seen) free(old);
}

/* Was it packed before? If not, notes that it is about to be, at `offset`. */
static const Seen *seen_before(lua_State *L, Packer *p, const void *identity, size_t offset,
                               uint8_t upvalue) {
  if (p->seen_count * 2 >= p->seen_cap) seen_grow(L, p);
  Seen *s = &p->seen[seen_slot(p, identity)];
  if (s->identity) return s;
  *s = (Seen){identity, offset, upvalue};
  p->seen_count++;
  return NULL;
}

/* A reference to what was packed at `offset`, which is marked as shared. */
static void put_reference(lua_State *L, Packer *p, size_t offset) {
  uint64_t wide = offset;
  p->out->data[p->start + offset] |= (char)TRANSFER_SHARED;
  put_tagged(L, p, TRANSFER_REFERENCE, &wide, sizeof wide);
}

/* If the value on the top of L was packed before, packs a reference, pops it and returns true. */
static bool put_if_seen(lua_State *L, Packer *p) {
  const Seen *s = seen_before(L, p, lua_topointer(L, -1), here(p), 0);
  if (!s) return false;
  put_reference(L, p, s->offset);
  lua_pop(L, 1);
  return true;
}

/* --- errors --- */

static bool is_identifier(const char *s, size_t len) {
  if (!len || (*s >= '0' && *s <= '9')) return false;
  for (size_t i = 0; i < len; i++) {
    char c = s[i];
    bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (!word && c != '_') return false;
  }
  return true;
}

/* Adds `.name`, `[3]` or `["any text"]` for the key at `index`. */
static void add_key(lua_State *L, luaL_Buffer *b, int index) {
  size_t len;
  char text[80];
  switch (lua_type(L, index)) {
  case LUA_TSTRING: {
    const char *s = lua_tolstring(L, index, &len);
    if (is_identifier(s, len) && len < 60) {
      luaL_addchar(b, '.');
      luaL_addlstring(b, s, len);
    } else {
      luaL_addstring(b, "[\"");
      luaL_addlstring(b, s, len < 60 ? len : 60);
      luaL_addstring(b, len < 60 ? "\"]" : "...\"]");
    }
    return;
  }
  case LUA_TNUMBER:
    if (lua_isinteger(L, index)) {
      snprintf(text, sizeof text, "[%lld]", (long long)lua_tointeger(L, index));
    } else {
      snprintf(text, sizeof text, "[%.14g]", (double)lua_tonumber(L, index));
    }
    break;
  case LUA_TBOOLEAN:
    snprintf(text, sizeof text, "[%s]", lua_toboolean(L, index) ? "true" : "false");
    break;
  default:
    snprintf(text, sizeof text, "[a %s]", luaL_typename(L, index));
  }
  luaL_addstring(b, text);
}

/* Raises "cannot send PATH: PROBLEM". The path leads from the innermost function, if there is one,
   to the value that was about to be packed. */
static int refuse(lua_State *L, Packer *p, const char *what) {
  char problem[200], text[LUA_IDSIZE + 300];
  snprintf(problem, sizeof problem, "%s", what);
  size_t from = p->depth, to = p->depth;
  while (from && p->frames[from - 1].state != FUNCTION) from--;
  bool cut = to - from > MAX_PATH;
  if (cut) { /* deep: the stack may be full, and nobody would read it all */
    to = from + MAX_PATH;
    lua_settop(L, p->frames[to].index);
  }
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  luaL_addstring(&b, "cannot send ");
  if (from) {
    Frame *f = &p->frames[from - 1];
    lua_Debug where;
    lua_pushvalue(L, f->index);
    lua_getinfo(L, ">S", &where);
    const char *name = lua_getupvalue(L, f->index, (int)f->items);
    if (name) lua_pop(L, 1);
    snprintf(text, sizeof text, "upvalue '%.200s' of function at %s:%d", name ? name : "?",
             where.short_src, where.linedefined);
  } else {
    size_t len = strlen(p->what);
    if (len && p->what[len - 1] == '#')
      snprintf(text, sizeof text, "%s%d", p->what, p->root);
    else
      snprintf(text, sizeof text, "%s", p->what);
  }
  luaL_addstring(&b, text);
  for (size_t i = from; i < to; i++) {
    Frame *f = &p->frames[i];
    if (f->state == USERDATA) continue;
    if (f->state == TABLE_VALUE) luaL_addstring(&b, ", key ");
    add_key(L, &b, f->index + 1);
  }
  if (cut) luaL_addstring(&b, "...");
  luaL_addstring(&b, ": ");
  luaL_addstring(&b, problem);
  luaL_pushresult(&b);
  return lua_error(L);
}

/* --- the walk --- */

/* The value on the top of L becomes the innermost frame and stays where it is. */
static Frame *push_frame(lua_State *L, Packer *p, int state, size_t offset) {
  /* for its key and value, and what packing a scalar needs */
  if (!lua_checkstack(L, LUA_MINSTACK)) refuse(L, p, "tables nested too deeply");
  if (p->depth == p->frames_cap) {
    bool few = p->frames == p->few_frames;
    Frame *wider = realloc(few ? NULL : p->frames, p->frames_cap * 2 * sizeof *wider);
    if (!wider) out_of_memory(L);
    if (few) memcpy(wider, p->frames, sizeof p->few_frames);
    p->frames = wider;
    p->frames_cap *= 2;
  }
  Frame *f = &p->frames[p->depth++];
  *f = (Frame){.state = state, .index = lua_gettop(L), .offset = offset};
  return f;
}

/* If the value on the top of L crosses by name, packs that, pops it and returns true. */
static bool put_if_named(lua_State *L, Packer *p) {
  if (!p->names_fresh) {
    transfer_refresh_names(L, NAMES, false);
    p->names_fresh = true;
  }
  bool again = lua_iscfunction(L, -1) || lua_type(L, -1) == LUA_TUSERDATA;
  for (;;) {
    lua_pushvalue(L, -1);
    if (lua_rawget(L, NAMES) == LUA_TSTRING) break;
    lua_pop(L, 1);
    if (!again) return false;
    transfer_refresh_names(L, NAMES, true);
    again = false;
  }
  size_t len;
  const char *name = lua_tolstring(L, -1, &len);
  if (len > UINT16_MAX) return false;
  uint16_t short_len = (uint16_t)len;
  put_tagged(L, p, TRANSFER_NAMED, &short_len, sizeof short_len);
  put(L, p, name, len);
  lua_pop(L, 2);
  return true;
}

static void put_string(lua_State *L, Packer *p) {
  size_t len;
  const char *s = lua_tolstring(L, -1, &len);
  if (len < SHARE_STRINGS_FROM) {
    uint8_t short_len = (uint8_t)len;
    put_tagged(L, p, TRANSFER_SHORT_STRING, &short_len, sizeof short_len);
  } else {
    if (put_if_seen(L, p)) return;
    uint64_t long_len = len;
    put_tagged(L, p, TRANSFER_LONG_STRING, &long_len, sizeof long_len);
  }
  put(L, p, s, len);
  lua_pop(L, 1);
}

static void open_table(lua_State *L, Packer *p) {
  if (put_if_seen(L, p)) return;
  size_t offset = here(p);
  if (put_if_named(L, p)) return; /* a name is as short as a reference */
  uint8_t kind = TRANSFER_PLAIN;
  if (lua_getmetatable(L, -1)) {
    lua_pop(L, 1);
    JsonMark mark = json_get_mark(L, -1);
    if (mark == JSON_ARRAY)
      kind = TRANSFER_JSON_ARRAY;
    else if (mark == JSON_OBJECT)
      kind = TRANSFER_JSON_OBJECT;
    else if (error_is(L, -1))
      kind = TRANSFER_ERROR;
    else
      refuse(L, p, "a table with a metatable");
  }
  size_t items = lua_rawlen(L, -1); /* a hint */
  if (items > LONG_LIST && items < MAX_HINT) buffer_reserve(p->out, items * 9);
  char head[TRANSFER_TABLE_HEAD] = {(char)TRANSFER_TABLE, (char)kind};
  put(L, p, head, sizeof head);
  push_frame(L, p, TABLE_ITEMS, offset);
  lua_pushnil(L);
}

static int write_code(lua_State *L, const void *bytes, size_t n, void *out) {
  (void)L;
  return !buffer_add(out, bytes, n);
}

static void open_function(lua_State *L, Packer *p) {
  if (put_if_seen(L, p)) return;
  size_t offset = here(p);
  if (put_if_named(L, p)) return;
  if (lua_iscfunction(L, -1)) refuse(L, p, "a C function of no loaded module");
  lua_Debug info;
  lua_pushvalue(L, -1);
  lua_getinfo(L, ">u", &info);
  put_tagged(L, p, TRANSFER_FUNCTION, &info.nups, 1);
  uint32_t length = 0;
  put(L, p, &length, sizeof length);
  size_t code = p->out->len;
  if (lua_dump(L, write_code, p->out, false)) out_of_memory(L);
  size_t dumped = p->out->len - code;
  if (dumped > UINT32_MAX) refuse(L, p, "a function of more than 4 GB");
  length = (uint32_t)dumped;
  memcpy(p->out->data + code - sizeof length, &length, sizeof length);
  push_frame(L, p, FUNCTION, offset);
}

static void open_userdata(lua_State *L, Packer *p) {
  if (put_if_seen(L, p)) return;
  size_t offset = here(p);
  if (put_if_named(L, p)) return;
  const char *name = NULL;
  if (luaL_getmetafield(L, -1, "__name") == LUA_TSTRING) name = lua_tostring(L, -1);
  if (!name) refuse(L, p, "a userdata");
  luaL_getmetatable(L, name);
  lua_getmetatable(L, -3);
  bool genuine = lua_rawequal(L, -1, -2);
  lua_pop(L, 2);
  size_t len = strlen(name);
  if (!genuine || len > UINT8_MAX || !transfer_push_type(L, name, false)) {
    refuse(L, p, lua_pushfstring(L, "a userdata (%s)", name));
  }
  uint8_t short_len = (uint8_t)len;
  put_tagged(L, p, TRANSFER_USERDATA, &short_len, 1);
  put(L, p, name, len);
  lua_rawgeti(L, -1, 1);
  lua_pushvalue(L, -4);
  lua_call(L, 1, 1);
  if (lua_isnil(L, ANCHORS)) {
    lua_newtable(L);
    lua_replace(L, ANCHORS);
  }
  lua_pushvalue(L, -1);
  lua_rawseti(L, ANCHORS, (lua_Integer)lua_rawlen(L, ANCHORS) + 1);
  lua_replace(L, -3); /* userdata, what stands for it */
  lua_pop(L, 1);
  push_frame(L, p, USERDATA, offset)->index--;
}

/* Packs the value on the top of L: a scalar at once, and it is popped; what has parts becomes the
   innermost frame. */
static void pack_value(lua_State *L, Packer *p) {
  switch (lua_type(L, -1)) {
  case LUA_TNIL:
    put_tag(L, p, TRANSFER_NIL);
    break;
  case LUA_TBOOLEAN:
    put_tag(L, p, lua_toboolean(L, -1) ? TRANSFER_TRUE : TRANSFER_FALSE);
    break;
  case LUA_TNUMBER:
    put_if_number(L, p, -1);
    break;
  case LUA_TLIGHTUSERDATA:
    if (json_is_null(L, -1))
      put_tag(L, p, TRANSFER_JSON_NULL);
    else if (!lua_touserdata(L, -1))
      put_tag(L, p, TRANSFER_NULL);
    else
      refuse(L, p, "a light userdata");
    break;
  case LUA_TSTRING:
    put_string(L, p);
    return;
  case LUA_TTABLE:
    open_table(L, p);
    return;
  case LUA_TFUNCTION:
    open_function(L, p);
    return;
  case LUA_TUSERDATA:
    open_userdata(L, p);
    return;
  default:
    refuse(L, p, "a coroutine");
  }
  lua_pop(L, 1);
}

/* The innermost frame is complete: its counts are written and it leaves the stack. */
static void close_frame(lua_State *L, Packer *p) {
  Frame *f = &p->frames[--p->depth];
  if (f->state == TABLE_ITEMS || f->state == TABLE_PAIRS) {
    char *head = p->out->data + p->start + f->offset;
    memcpy(head + 2, &f->items, 4);
    memcpy(head + 6, &f->pairs, 4);
  }
  lua_settop(L, f->index - 1);
}

/* Goes on with a table. */
static void step_table(lua_State *L, Packer *p) {
  Frame *f = &p->frames[p->depth - 1];
  if (f->state == TABLE_VALUE) { /* the key was one with parts */
    f->state = TABLE_PAIRS;
    pack_value(L, p);
    return;
  }
  size_t depth = p->depth;
  while (lua_next(L, f->index)) {
    if (f->state == TABLE_ITEMS) {
      if (lua_isinteger(L, -2) && lua_tointeger(L, -2) == (lua_Integer)f->items + 1) {
        f->items++;
        if (put_if_number(L, p, -1)) { /* lists of numbers are common */
          lua_pop(L, 1);
          continue;
        }
        pack_value(L, p);
        if (p->depth != depth) return;
        continue;
      }
      f->state = TABLE_PAIRS;
    }
    if (f->pairs == UINT32_MAX || f->items == UINT32_MAX) refuse(L, p, "a table too large");
    f->pairs++;
    lua_pushvalue(L, -2);
    f->state = TABLE_VALUE; /* for error messages, and if the key has parts */
    pack_value(L, p);
    if (p->depth != depth) return;
    f->state = TABLE_PAIRS;
    pack_value(L, p);
    if (p->depth != depth) return;
  }
  close_frame(L, p);
}

/* Goes on with a function: its next upvalue. */
static void step_function(lua_State *L, Packer *p) {
  Frame *f = &p->frames[p->depth - 1];
  const char *name = lua_getupvalue(L, f->index, (int)f->items + 1);
  if (!name) {
    close_frame(L, p);
    return;
  }
  f->items++;
  if (strcmp(name, "_ENV") == 0) {
    put_tag(L, p, TRANSFER_GLOBALS);
    lua_pop(L, 1);
    return;
  }
  const void *identity = lua_upvalueid(L, f->index, (int)f->items);
  const Seen *s = seen_before(L, p, identity, f->offset, (uint8_t)f->items);
  if (s) {
    uint64_t offset = s->offset;
    p->out->data[p->start + s->offset] |= (char)TRANSFER_SHARED;
    put_tagged(L, p, TRANSFER_UPVALUE_REFERENCE, &offset, sizeof offset);
    put(L, p, &s->upvalue, 1);
    lua_pop(L, 1);
  } else {
    pack_value(L, p);
  }
}

static void step(lua_State *L, Packer *p) {
  Frame *f = &p->frames[p->depth - 1];
  switch (f->state) {
  case FUNCTION:
    step_function(L, p);
    break;
  case USERDATA:
    if (f->items++ == 0)
      pack_value(L, p);
    else
      close_frame(L, p);
    break;
  default:
    step_table(L, p);
  }
}

/* Protected: (packer as light userdata, values...) */
static int l_pack(lua_State *L) {
  Packer *p = lua_touserdata(L, 1);
  transfer_push_names(L);
  lua_insert(L, NAMES);
  lua_pushnil(L);
  lua_insert(L, ANCHORS);
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  uint32_t count = (uint32_t)p->count;
  put(L, p, &count, sizeof count);
  for (p->root = 1; p->root <= p->count; p->root++) {
    lua_pushvalue(L, FIRST_ROOT + p->root - 1);
    pack_value(L, p);
    while (p->depth) step(L, p);
  }
  return 0;
}

bool transfer_pack(lua_State *L, int first, int count, const char *what, Buffer *out) {
  first = lua_absindex(L, first);
  if (!lua_checkstack(L, count + 4)) {
    lua_settop(L, first + count - 1);
    lua_pushliteral(L, "cannot send: too many values");
    return false;
  }
  Packer p;
  p.out = out;
  p.start = out->len;
  p.what = what;
  p.count = count;
  p.root = 0;
  p.names_fresh = false;
  p.frames = p.few_frames;
  p.depth = 0;
  p.frames_cap = FEW_FRAMES;
  p.seen = p.few_seen;
  p.seen_count = 0;
  p.seen_cap = FEW_SEEN;
  memset(p.few_seen, 0, sizeof p.few_seen);
  lua_pushcfunction(L, l_pack);
  lua_pushlightuserdata(L, &p);
  for (int i = 0; i < count; i++) lua_pushvalue(L, first + i);
  int status = lua_pcall(L, count + 1, 0, 0);
  if (p.seen != p.few_seen) free(p.seen);
  if (p.frames != p.few_frames) free(p.frames);
  if (status == LUA_OK) return true;
  out->len = p.start;
  return false;
}
