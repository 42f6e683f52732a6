/* Packing tables: the values of [1..n] first, then the other pairs, then the metatable. */
#include "base/array_part.h"
#include "core/counted_list.h"
#include "core/error.h"
#include "transfer/transfer_pack.h"
#include "json/json.h"

/* Lists of at least this length are packed as runs of numbers, as far as they consist of
   numbers. */
#define LONG_LIST 16u
/* The buffer grows at once for lists of up to this length. */
#define MAX_HINT ((size_t)1 << 26)
/* Numbers for which room is made at a time. */
#define RUN_STEP 256u
/* Numbers in a run that is packed at once, while they are still in the cache. */
#define RUN_MAX 4096u

/* The two inner loops of packing. */
#define ALWAYS_INLINE inline __attribute__((always_inline))

/* The kind of the table on the top of L, by its metatable. */
static TransferTableKind kind_of(lua_State *L, Packer *p) {
  if (!lua_getmetatable(L, -1)) return TRANSFER_PLAIN;
  lua_pushliteral(L, "__gc");
  bool finalized = lua_rawget(L, -2) != LUA_TNIL;
  lua_pushliteral(L, "__stays");
  const char *stays = lua_rawget(L, -3) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
  lua_pop(L, 3); /* the metatable keeps the string */
  JsonMark mark = json_get_mark(L, -1);
  if (mark == JSON_ARRAY) return TRANSFER_JSON_ARRAY;
  if (mark == JSON_OBJECT) return TRANSFER_JSON_OBJECT;
  if (error_is(L, -1)) return TRANSFER_ERROR;
  if (counted_list_has_class(L, -1)) return TRANSFER_COUNTED_LIST;
  if (stays) transfer_pack_refuse(L, p, stays);
  if (finalized) transfer_pack_refuse(L, p, "a table with a finalizer (__gc)");
  return TRANSFER_WITH_METATABLE;
}

void transfer_pack_open_table(lua_State *L, Packer *p) {
  if (transfer_pack_if_seen(L, p)) return;
  size_t offset = transfer_pack_here(p);
  if (transfer_pack_if_named(L, p)) return; /* a name is as short as a reference */
  char head[TRANSFER_TABLE_HEAD] = {(char)TRANSFER_TABLE, (char)kind_of(L, p)};
  transfer_pack_put(L, p, head, sizeof head);
  transfer_pack_push_frame(L, p, TABLE_ITEMS, offset);
  lua_pushnil(L);
}

/* A run of numbers that is being packed. */
typedef struct Run {
  TransferTag tag;
  size_t head; /* where it begins in the buffer */
  size_t room; /* numbers for which there is room */
} Run;

static void end_run(Packer *p, const Run *run) {
  if (!run->head) return;
  size_t bytes = p->out->len - run->head - TRANSFER_RUN_HEAD;
  uint32_t count = (uint32_t)(bytes / sizeof(lua_Integer));
  memcpy(p->out->data + run->head + 1, &count, sizeof count);
}

/* Appends one number to the run, or starts a new run if it is of the other kind. */
static ALWAYS_INLINE void put_in_run(lua_State *L, Packer *p, Run *run, TransferTag tag,
                                     const void *number) {
  if (run->tag != tag || !run->head) {
    end_run(p, run);
    char head[TRANSFER_RUN_HEAD] = {(char)tag};
    *run = (Run){.tag = tag, .head = p->out->len};
    transfer_pack_put(L, p, head, sizeof head);
  }
  if (!run->room) {
    transfer_pack_reserve(L, p, RUN_STEP * sizeof(lua_Integer));
    run->room = RUN_STEP;
  }
  memcpy(p->out->data + p->out->len, number, sizeof(lua_Integer));
  p->out->len += sizeof(lua_Integer);
  run->room--;
}

_Static_assert(sizeof(lua_Integer) == sizeof(lua_Number), "a run has elements of one size");

/* Appends a run of `count` numbers of one kind. */
static void put_run(lua_State *L, Packer *p, const ArraySlot *slots, uint32_t count) {
  transfer_pack_reserve(L, p, TRANSFER_RUN_HEAD + count * sizeof slots->bits);
  char *at = p->out->data + p->out->len;
  *at = slots->tag == ARRAY_INTEGER ? TRANSFER_INTEGERS : TRANSFER_FLOATS;
  memcpy(at + 1, &count, sizeof count);
  at += TRANSFER_RUN_HEAD;
  for (uint32_t i = 0; i < count; i++, at += sizeof slots->bits)
    memcpy(at, &slots[i].bits, sizeof slots->bits);
  p->out->len = (size_t)(at - p->out->data);
}

/* Appends the number at `index`. */
static ALWAYS_INLINE void put_number(lua_State *L, Packer *p, Run *run, int index) {
  if (lua_isinteger(L, index)) {
    lua_Integer number = lua_tointeger(L, index);
    put_in_run(L, p, run, TRANSFER_INTEGERS, &number);
  } else {
    lua_Number number = lua_tonumber(L, index);
    put_in_run(L, p, run, TRANSFER_FLOATS, &number);
  }
}

/* Packs the numbers at the beginning of the array part. lua_next goes through that first, and in
   order: it goes on from the last one. */
static void pack_array(lua_State *L, Packer *p, PackFrame *f) {
  size_t size = 0, items = 0;
  const ArraySlot *slots = array_part(L, f->index, &size);
  while (items < size) {
    const ArraySlot *first = &slots[items];
    if (first->tag != ARRAY_INTEGER && first->tag != ARRAY_FLOAT) break;
    size_t max = size - items < RUN_MAX ? size - items : RUN_MAX;
    uint32_t count = 1;
    while (count < max && first[count].tag == first->tag) count++;
    items += count;
    lua_pushinteger(L, (lua_Integer)items);
    lua_replace(L, f->index + 1);
    put_run(L, p, first, count);
  }
  f->items = (uint32_t)items;
}

/* Packs the numbers at the beginning of a long list. Returns false at the end of the table; else
   the pair that is no such number is on the stack. */
static bool pack_numbers(lua_State *L, Packer *p, PackFrame *f, size_t length) {
  const int table = f->index, key = table + 1, value = table + 2;
  Run run = {0};
  bool more;
  if (length < MAX_HINT) buffer_reserve(p->out, (length + RUN_STEP) * sizeof(lua_Integer));
  pack_array(L, p, f);
  while ((more = lua_next(L, table))) {
    if (!lua_isinteger(L, key) || lua_tointeger(L, key) != (lua_Integer)f->items + 1) break;
    if (f->items == UINT32_MAX - 1) transfer_pack_refuse(L, p, "a table too large");
    if (lua_type(L, value) != LUA_TNUMBER) break;
    put_number(L, p, &run, value);
    f->items++;
    lua_settop(L, key);
  }
  end_run(p, &run);
  return more;
}

/* Packs the pair on the top of L, popping the value. False: a part of it became the innermost
   frame. */
static bool pack_pair(lua_State *L, Packer *p, PackFrame *f) {
  size_t depth = p->depth;
  if (f->state == TABLE_ITEMS) {
    if (lua_isinteger(L, -2) && lua_tointeger(L, -2) == (lua_Integer)f->items + 1) {
      f->items++;
      transfer_pack_value(L, p);
      return p->depth == depth;
    }
    f->state = TABLE_PAIRS;
  }
  if (f->pairs == UINT32_MAX || f->items == UINT32_MAX)
    transfer_pack_refuse(L, p, "a table too large");
  f->pairs++;
  lua_pushvalue(L, -2);
  f->state = TABLE_VALUE; /* for error messages, and if the key has parts */
  transfer_pack_value(L, p);
  if (p->depth != depth) return false;
  f->state = TABLE_PAIRS;
  transfer_pack_value(L, p);
  return p->depth == depth;
}

static void close_table(lua_State *L, Packer *p) {
  PackFrame *f = &p->frames[p->depth - 1];
  char *head = p->out->data + f->offset;
  memcpy(head + 2, &f->items, 4);
  memcpy(head + 6, &f->pairs, 4);
  transfer_pack_pop_frame(L, p);
}

void transfer_pack_step_table(lua_State *L, Packer *p) {
  PackFrame *f = &p->frames[p->depth - 1];
  if (f->state == TABLE_VALUE) { /* the key was one with parts */
    f->state = TABLE_PAIRS;
    transfer_pack_value(L, p);
    return;
  }
  if (f->state == TABLE_META) {
    close_table(L, p);
    return;
  }
  bool more;
  size_t length = f->state == TABLE_ITEMS && f->items == 0 ? lua_rawlen(L, f->index) : 0;
  if (length >= LONG_LIST)
    more = pack_numbers(L, p, f, length);
  else
    more = lua_next(L, f->index);
  for (; more; more = lua_next(L, f->index)) {
    if (!pack_pair(L, p, f)) return;
  }
  uint8_t kind = (uint8_t)p->out->data[f->offset + 1];
  if (kind == TRANSFER_WITH_METATABLE) {
    size_t depth = p->depth;
    f->state = TABLE_META;
    lua_getmetatable(L, f->index);
    transfer_pack_value(L, p);
    if (p->depth != depth) return;
  }
  close_table(L, p);
}
