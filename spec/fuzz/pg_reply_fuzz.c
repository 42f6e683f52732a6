/* Reads what a PostgreSQL server sends in one piece, byte by byte and in pieces: all must find the
   same messages, the same end and the same fault, also where rows that have not come to their end
   are dropped. What is whole becomes Lua values, in every way
   that replies are looked at. The first byte chooses the size of the pieces. */
#include "core/error.h"
#include "sql/pg/pg_reader.h"
#include "sql/pg/pg_result.h"

#include <lauxlib.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_MESSAGES = 64, MOST_BYTES = 1024 };

typedef struct Seen {
  size_t ends[MOST_MESSAGES], count;
  char types[MOST_MESSAGES];
  PgFound found;
} Seen;

static void require(bool holds) {
  if (!holds) abort();
}

/* Finds the messages, of which `piece` bytes more come at a time. The whole ones are kept. With
   `drops`, rows are not: those that have come to their end are not seen either. */
static Seen run(const uint8_t *bytes, size_t size, size_t piece, PgSlice *whole, bool drops) {
  Seen seen = {.found = PG_READER_MORE};
  PgInput in = {0};
  size_t come = 0, passed = 0;
  while (seen.found == PG_READER_MORE && come < size && seen.count < MOST_MESSAGES) {
    size_t n = size - come < piece ? size - come : piece;
    require(pg_reader_reserve(&in, n));
    memcpy(in.block->data + in.block->len, bytes + come, n);
    in.block->len += n;
    come += n;
    PgMessage m;
    size_t before = in.at;
    while (seen.count < MOST_MESSAGES &&
           (seen.found = pg_reader_next(&in, &m)) == PG_READER_MESSAGE) {
      passed += in.at - before;
      before = in.at;
      require(m.body + m.len == in.block->data + in.at);
      if (drops && m.type == 'D') continue;
      seen.types[seen.count] = m.type;
      seen.ends[seen.count++] = passed;
    }
    require(seen.found != PG_READER_MORE || in.wants <= PG_READER_MAX + 1);
    if (drops && pg_reader_length(&in) && in.block->data[in.at] == 'D') {
      pg_reader_drop(&in);
      require(!pg_reader_length(&in) && in.from == in.at);
    }
    if (seen.found == PG_READER_MESSAGE) seen.found = PG_READER_MORE;
  }
  if (whole && in.block && in.at > in.from) {
    /* A block of its own size, so that ASan sees every read beyond it. */
    size_t n = in.at - in.from;
    PgBlock *copy = malloc(sizeof *copy + n);
    require(copy);
    *copy = (PgBlock){.refs = 1, .len = n, .cap = n};
    memcpy(copy->data, in.block->data + in.from, n);
    *whole = (PgSlice){.block = copy, .to = n};
    PgSlice slice = pg_reader_take(&in);
    pg_reader_release(&slice);
  }
  pg_reader_forget(&in);
  return seen;
}

static void compare(const Seen *a, const Seen *b) {
  require(a->count == b->count);
  require(!memcmp(a->ends, b->ends, a->count * sizeof *a->ends));
  require(!memcmp(a->types, b->types, a->count));
  if (a->count < MOST_MESSAGES) require(a->found == b->found);
}

/* The same, but for rows. */
static void compare_others(const Seen *all, const Seen *others) {
  size_t n = 0;
  for (size_t i = 0; i < all->count; i++) {
    if (all->types[i] == 'D') continue;
    require(n < others->count && others->types[n++] == all->types[i]);
  }
  if (all->count < MOST_MESSAGES) require(n == others->count && all->found == others->found);
}

static int l_push(lua_State *L) {
  PgSlice reply = *(const PgSlice *)lua_touserdata(L, 1);
  PgResult of = {.sql = "select", .sql_len = 6};
  PgMessage error;
  if (pg_result_find_error(reply, &error)) pg_result_is_stale(reply, &error);
  require(strlen(pg_result_tag(reply)) < MOST_BYTES);
  lua_settop(L, 1);
  int n = pg_result_push_shape(L, &of, reply);
  require(lua_gettop(L) == 1 + n);
  if (n == 2) { /* an error, which has no shape */
    lua_settop(L, 1);
    lua_pushnil(L);
  }
  for (unsigned i = 0; i < 5 * 8 * 2; i++) {
    const PgTypeOptions options = {.nulls = i & 1, .numeric_number = i & 2, .time_text = i & 4};
    lua_settop(L, 2);
    lua_pushvalue(L, 2);
    if (i & 8) { /* without a shape */
      lua_pushnil(L);
      lua_replace(L, 3);
    }
    PgResult result = {.mode = (PgMode)(i / 16),
                       .options = &options,
                       .shape_at = 3,
                       .in_batch = i & 1,
                       .sql = "select",
                       .sql_len = 6};
    int results = pg_result_push(L, &result, reply);
    require(results == 1 || results == 2);
    require(lua_gettop(L) >= 3 + results);
  }
  return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static lua_State *L;
  if (!L) {
    L = luaL_newstate();
    require(L);
    error_open(L);
    lua_settop(L, 0);
  }
  if (size < 1) return 0;
  size_t piece = data[0] % 32 + 2;
  data++;
  size = size - 1 < MOST_BYTES ? size - 1 : MOST_BYTES;
  PgSlice reply = {0};
  Seen whole = run(data, size, size ? size : 1, &reply, false);
  Seen pieces = run(data, size, piece, NULL, false);
  Seen bytes = run(data, size, 1, NULL, false);
  Seen dropped = run(data, size, piece, NULL, true);
  compare(&whole, &pieces);
  compare(&whole, &bytes);
  compare_others(&whole, &dropped);
  if (reply.block) {
    lua_pushcfunction(L, l_push);
    lua_pushlightuserdata(L, &reply);
    require(lua_pcall(L, 1, 0, 0) == LUA_OK);
    pg_reader_release(&reply);
  }
  lua_gc(L, LUA_GCCOLLECT, 0);
  return 0;
}
