/* Unpacking lists of numbers, which are the bulk of large messages. */
#include "base/array_part.h"
#include "transfer/transfer_unpack.h"

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
  UNPACK_TAKE(uint32_t, n);
  if (n == 0 || n > max) unpack_damaged(L, u);
  *count = n;
  return unpack_take(L, u, (size_t)n * sizeof(lua_Integer));
}

/* Appends `count` numbers to the list. */
static void put_run(lua_State *L, UnpackFrame *f, bool integers, const char *at, uint32_t count) {
  size_t size;
  ArraySlot *slots = array_part(L, f->index, &size);
  if (slots && size >= (size_t)f->done + count) {
    for (slots += f->done; count; count--, slots++, f->done++, at += sizeof slots->bits) {
      memcpy(&slots->bits, at, sizeof slots->bits);
      slots->tag = integers ? ARRAY_INTEGER : ARRAY_FLOAT;
    }
    return;
  }
  for (; count; count--, at += sizeof(lua_Integer)) {
    if (integers)
      lua_pushinteger(L, integer_at(at));
    else
      lua_pushnumber(L, number_at(at));
    lua_rawseti(L, f->index, ++f->done);
  }
}

void transfer_unpack_numbers(lua_State *L, Unpacker *u, UnpackFrame *f) {
  while (f->done < f->items && u->at < u->size) {
    TransferTag tag = (uint8_t)u->data[u->at];
    if (tag != TRANSFER_INTEGERS && tag != TRANSFER_FLOATS) return;
    uint32_t count;
    const char *at = take_run(L, u, f->items - f->done, &count);
    put_run(L, f, tag == TRANSFER_INTEGERS, at, count);
  }
}
