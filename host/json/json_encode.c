/* Lua values to JSON text. */
#include "base/array_part.h"
#include "base/utf8.h"
#include "core/counted_list.h"
#include "json/json.h"
#include "json/json_number.h"
#include "json/json_scan.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* The tables being written, innermost first, to detect cycles. */
typedef struct Frame {
  const void *table;
  const struct Frame *up;
  int depth;
} Frame;

typedef struct Encoder {
  lua_State *L;
  Buffer *out;
  unsigned flags;
  const void *array_mark; /* once a table with a metatable was seen */
  const char *what;       /* a literal: what is wrong, or NULL */
  char *path;             /* where, filled from the end of path_text as the recursion unwinds */
  bool path_cut;
  char path_text[200];
} Encoder;

static bool encode_value(Encoder *e, int index, const Frame *up);

static bool fail(Encoder *e, const char *what) {
  e->what = what;
  return false;
}

static bool out_of_memory(Encoder *e) { return fail(e, "out of memory"); }

/* Prepends a step to the path of the offending value; returns false, which the caller returns. */
static bool path_prepend(Encoder *e, const char *step, size_t size) {
  if (e->path_cut) return false;
  if (size + 4 > (size_t)(e->path - e->path_text)) {
    e->path_cut = true;
    step = "...";
    size = 3;
  }
  e->path -= size;
  memcpy(e->path, step, size);
  return false;
}

static bool path_prepend_index(Encoder *e, lua_Integer i) {
  char step[32];
  int n = snprintf(step, sizeof step, "[%lld]", (long long)i);
  return path_prepend(e, step, (size_t)n);
}

static bool path_prepend_key(Encoder *e, const char *key, size_t size) {
  char step[80] = ".";
  size_t n = 1;
  bool name = size > 0 && size < 60;
  for (size_t i = 0; i < size && name; i++) {
    unsigned char c = (unsigned char)key[i];
    name = c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c >= '0' && c <= '9' && i > 0);
  }
  if (name) {
    memcpy(step + 1, key, size);
    return path_prepend(e, step, size + 1);
  }
  n = (size_t)snprintf(step, sizeof step, "[\"");
  for (size_t i = 0; i < size && n < 60;) {
    unsigned length = utf8_length((const unsigned char *)key + i, size - i);
    bool plain = length && (unsigned char)key[i] >= 0x20 && key[i] != 0x7F;
    if (!length) length = 1;
    if (plain)
      memcpy(step + n, key + i, length), n += length;
    else
      step[n++] = '?';
    i += length;
    if (n >= 60 && i < size) memcpy(step + n, "...", 3), n += 3;
  }
  memcpy(step + n, "\"]", 2);
  return path_prepend(e, step, n + 2);
}

/* Writes the rest of the string after its plain start of `done` bytes, which are already in the
   buffer. */
static bool encode_special_string(Encoder *e, const char *s, size_t size, size_t done) {
  static const char hex[] = "0123456789abcdef";
  Buffer *out = e->out;
  const char *p = s + done, *end = s + size;
  while (p < end) {
    const char *run = p;
    for (;;) {
      p = json_skip_plain(p, end);
      if (p == end || (unsigned char)*p < 0x80) break;
      unsigned length = utf8_length((const unsigned char *)p, (size_t)(end - p));
      if (!length) return fail(e, "cannot encode a string that is not valid UTF-8");
      p += length;
    }
    if (!buffer_reserve(out, (size_t)(p - run) + 8)) return out_of_memory(e);
    memcpy(out->data + out->len, run, (size_t)(p - run));
    out->len += (size_t)(p - run);
    if (p == end) break;
    char *o = out->data + out->len;
    unsigned char c = (unsigned char)*p++;
    *o++ = '\\';
    switch (c) {
    case '"':
    case '\\':
      *o++ = (char)c;
      break;
    case '\b':
      *o++ = 'b';
      break;
    case '\f':
      *o++ = 'f';
      break;
    case '\n':
      *o++ = 'n';
      break;
    case '\r':
      *o++ = 'r';
      break;
    case '\t':
      *o++ = 't';
      break;
    default:
      memcpy(o, "u00", 3);
      o[3] = hex[c >> 4];
      o[4] = hex[c & 15];
      o += 5;
    }
    out->len = (size_t)(o - out->data);
  }
  return buffer_add_char(out, '"') || out_of_memory(e);
}

static bool encode_string(Encoder *e, const char *s, size_t size) {
  Buffer *out = e->out;
  if (!buffer_reserve(out, size + 2)) return out_of_memory(e);
  char *o = out->data + out->len;
  *o++ = '"';
  size_t i = 0;
  if (size < 8) {
    for (; i < size && json_is_plain(s[i]); i++) o[i] = s[i];
  } else {
    while (i < size) {
      if (size - i < 8) i = size - 8; /* the last eight may be partly done */
      uint64_t special = json_special8(word_load(s + i));
      memcpy(o + i, s + i, 8);
      if (special) {
        i += word_before(special);
        break;
      }
      i += 8;
    }
  }
  out->len += i + 1;
  if (i < size) return encode_special_string(e, s, size, i);
  o[i] = '"';
  out->len++;
  return true;
}

static inline bool put_integer(Encoder *e, int64_t value) {
  Buffer *out = e->out;
  if (!buffer_reserve(out, NUMBER_TEXT_MAX)) return out_of_memory(e);
  out->len += json_number_put_integer(out->data + out->len, value);
  return true;
}

static bool encode_integer(Encoder *e, int index) {
  return put_integer(e, lua_tointeger(e->L, index));
}

static bool encode_double(Encoder *e, int index) {
  Buffer *out = e->out;
  lua_Number d = lua_tonumber(e->L, index);
  if (isnan(d)) return fail(e, "cannot encode NaN");
  if (isinf(d)) return fail(e, "cannot encode infinity");
  if (!buffer_reserve(out, NUMBER_TEXT_MAX)) return out_of_memory(e);
  out->len += json_number_put_double(out->data + out->len, d);
  return true;
}

/* Starts a line for an element at `depth` (pretty only). */
static bool new_line(Encoder *e, int depth) {
  size_t n = (size_t)depth * 2;
  if (!buffer_reserve(e->out, n + 1)) return out_of_memory(e);
  e->out->data[e->out->len++] = '\n';
  memset(e->out->data + e->out->len, ' ', n);
  e->out->len += n;
  return true;
}

/* The separator before an element, which may be the `first`. */
static inline bool separate(Encoder *e, bool first, int depth) {
  if (!first && !buffer_add_char(e->out, ',')) return out_of_memory(e);
  return !(e->flags & JSON_PRETTY) || new_line(e, depth);
}

static inline bool close_with(Encoder *e, char c, int depth) {
  if ((e->flags & JSON_PRETTY) && !new_line(e, depth - 1)) return false;
  return buffer_add_char(e->out, c) || out_of_memory(e);
}

/* Counts the elements of a table that `lua_next` does not visit in order. 0 if it is not an
   array. */
static lua_Integer count_elements(Encoder *e, int table) {
  lua_State *L = e->L;
  lua_Integer count = 0, largest = 0;
  bool others = false;
  lua_pushnil(L);
  while (lua_next(L, table)) {
    lua_pop(L, 1);
    lua_Integer key = lua_isinteger(L, -1) ? lua_tointeger(L, -1) : 0;
    if (key < 1) others = true;
    if (key > largest) largest = key;
    count++;
  }
  if (others) {
    fail(e, largest ? "cannot encode a table with both array elements and other keys"
                    : "cannot encode a table with keys that are not strings");
    return 0;
  }
  if (count != largest) {
    fail(e, "cannot encode a sparse array, with nil among its elements");
    return 0;
  }
  return count;
}

/* Writes the integers from `slot` on, which is not the first of its table, until a value is not an
   integer. */
static bool encode_run(Encoder *e, const ArraySlot **slot, const ArraySlot *end, int depth) {
  for (; *slot < end && (*slot)->tag == ARRAY_INTEGER; ++*slot)
    if (!separate(e, false, depth) || !put_integer(e, (int64_t)(*slot)->bits)) return false;
  return true;
}

/* On the stack: the first key and value. Leaves none of them. */
static bool encode_array(Encoder *e, int table, const Frame *frame) {
  lua_State *L = e->L;
  int value = table + 2;
  lua_Integer i = 0;
  size_t size = 0; /* of the array part, where the first element is an integer */
  const ArraySlot *slots = NULL;
  if (!buffer_add_char(e->out, '[')) return out_of_memory(e);
  do {
    i++;
    if (!lua_isinteger(L, -2) || lua_tointeger(L, -2) != i) goto unordered;
    if (!separate(e, i == 1, frame->depth)) return false;
    if (!lua_isinteger(L, value)) {
      if (!encode_value(e, value, frame)) return path_prepend_index(e, i);
      lua_pop(L, 1);
      continue;
    }
    if (!encode_integer(e, value)) return path_prepend_index(e, i);
    lua_pop(L, 1);
    if (i == 1) slots = array_part(L, table, &size);
    if (slots && (size_t)i < size && slots[i].tag == ARRAY_INTEGER) {
      const ArraySlot *slot = slots + i;
      if (!encode_run(e, &slot, slots + size, frame->depth)) return false;
      i = slot - slots;
      lua_pop(L, 1);
      lua_pushinteger(L, i); /* the last key whose value is written */
    }
  } while (lua_next(L, table));
  return close_with(e, ']', frame->depth);

unordered: /* the rest is in the table's hash part, or it is not an array */
  lua_pop(L, 2);
  lua_Integer count = count_elements(e, table);
  if (count == 0) return false;
  lua_pushnil(L); /* where the other loop expects its key */
  for (; i <= count; i++) {
    if (!separate(e, i == 1, frame->depth)) return false;
    lua_rawgeti(L, table, i);
    if (!encode_value(e, value, frame)) return path_prepend_index(e, i);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  return close_with(e, ']', frame->depth);
}

static bool encode_member(Encoder *e, const char *key, size_t size, int value, bool first,
                          const Frame *frame) {
  if (!separate(e, first, frame->depth)) return false;
  if (!encode_string(e, key, size)) {
    if (*e->what == 'c') e->what = "cannot encode a key that is not valid UTF-8";
    return path_prepend_key(e, key, size);
  }
  bool pretty = e->flags & JSON_PRETTY;
  if (!buffer_add(e->out, ": ", pretty ? 2 : 1)) return out_of_memory(e);
  return encode_value(e, value, frame) || path_prepend_key(e, key, size);
}

static bool bad_key(Encoder *e) {
  return fail(e, "cannot encode a table with keys that are not strings");
}

typedef struct Key {
  const char *text;
  size_t size;
  int index; /* on the stack */
} Key;

static int key_compare(const void *a, const void *b) {
  const Key *x = a, *y = b;
  int order = memcmp(x->text, y->text, x->size < y->size ? x->size : y->size);
  return order ? order : (x->size > y->size) - (x->size < y->size);
}

/* Writes the members in the order of `keys`, whose keys are on the stack. */
static bool encode_sorted_members(Encoder *e, int table, const Frame *frame, const Key *keys,
                                  size_t count) {
  lua_State *L = e->L;
  for (size_t i = 0; i < count; i++) {
    lua_pushvalue(L, keys[i].index);
    lua_rawget(L, table);
    if (!encode_member(e, keys[i].text, keys[i].size, lua_gettop(L), i == 0, frame)) return false;
    lua_pop(L, 1);
  }
  return true;
}

/* encode_object for pretty text. The keys wait on the stack, since making their strings again could
   run out of memory. */
static bool encode_sorted_object(Encoder *e, int table, const Frame *frame) {
  lua_State *L = e->L;
  Buffer keys = {0};
  bool ok = true;
  int base = table;
  do {
    lua_pop(L, 1);
    Key key = {.index = ++base};
    if (lua_type(L, -1) != LUA_TSTRING) {
      ok = bad_key(e);
      break;
    }
    key.text = lua_tolstring(L, -1, &key.size);
    if (!lua_checkstack(L, 8) || !buffer_add(&keys, &key, sizeof key)) {
      ok = out_of_memory(e);
      break;
    }
    lua_pushvalue(L, -1);
  } while (lua_next(L, table));
  size_t count = keys.len / sizeof(Key);
  if (ok) qsort(keys.data, count, sizeof(Key), key_compare);
  ok = ok && encode_sorted_members(e, table, frame, (const Key *)keys.data, count);
  buffer_free(&keys);
  if (!ok) return false;
  lua_settop(L, table);
  return close_with(e, '}', frame->depth);
}

/* On the stack: the first key and value. Leaves none of them. */
static bool encode_object(Encoder *e, int table, const Frame *frame) {
  lua_State *L = e->L;
  if (!buffer_add_char(e->out, '{')) return out_of_memory(e);
  if (e->flags & JSON_PRETTY) return encode_sorted_object(e, table, frame);
  bool first = true;
  do {
    if (lua_type(L, -2) != LUA_TSTRING) return bad_key(e);
    size_t size;
    const char *key = lua_tolstring(L, -2, &size);
    if (!encode_member(e, key, size, table + 2, first, frame)) return false;
    first = false;
    lua_pop(L, 1);
  } while (lua_next(L, table));
  return close_with(e, '}', frame->depth);
}

/* A list of `n` items, holes included (counted_list.h). */
static bool encode_counted(Encoder *e, int table, lua_Integer n, const Frame *frame) {
  lua_State *L = e->L;
  if (!n) return buffer_add(e->out, "[]", 2) || out_of_memory(e);
  if (!buffer_add_char(e->out, '[')) return out_of_memory(e);
  for (lua_Integer i = 1; i <= n; i++) {
    if (!separate(e, i == 1, frame->depth)) return false;
    lua_rawgeti(L, table, i);
    if (!encode_value(e, lua_gettop(L), frame)) return path_prepend_index(e, i);
    lua_pop(L, 1);
  }
  return close_with(e, ']', frame->depth);
}

static bool encode_table(Encoder *e, int table, const Frame *up) {
  lua_State *L = e->L;
  Frame frame = {lua_topointer(L, table), up, up ? up->depth + 1 : 1};
  for (const Frame *f = up; f; f = f->up)
    if (f->table == frame.table) return fail(e, "cannot encode a table that contains itself");
  if (frame.depth > JSON_MAX_DEPTH) return fail(e, "cannot encode tables nested deeper than 512");
  if (!lua_checkstack(L, 8)) return out_of_memory(e);
  if (lua_gettop(L) != table) { /* the loops want their key and value just above the table */
    lua_pushvalue(L, table);
    table = lua_gettop(L);
  }
  JsonMark mark = JSON_UNMARKED;
  if (lua_getmetatable(L, table)) {
    lua_Integer n;
    const void *class = lua_topointer(L, -1);
    lua_pop(L, 1);
    if (!e->array_mark) e->array_mark = json_mark_pointer(L, JSON_ARRAY);
    mark = class == e->array_mark ? JSON_ARRAY : json_get_mark(L, table);
    if (mark != JSON_ARRAY && counted_list_is(L, table, &n))
      return encode_counted(e, table, n, &frame);
  }
  lua_pushnil(L);
  if (!lua_next(L, table))
    return buffer_add(e->out, mark == JSON_ARRAY ? "[]" : "{}", 2) || out_of_memory(e);
  if (mark == JSON_ARRAY || (mark == JSON_UNMARKED && lua_type(L, -2) != LUA_TSTRING))
    return encode_array(e, table, &frame);
  return encode_object(e, table, &frame);
}

static bool encode_value(Encoder *e, int index, const Frame *up) {
  lua_State *L = e->L;
  switch (lua_type(L, index)) {
  case LUA_TNIL:
    return buffer_add(e->out, "null", 4) || out_of_memory(e);
  case LUA_TBOOLEAN:
    return (lua_toboolean(L, index) ? buffer_add(e->out, "true", 4)
                                    : buffer_add(e->out, "false", 5)) ||
           out_of_memory(e);
  case LUA_TNUMBER:
    return lua_isinteger(L, index) ? encode_integer(e, index) : encode_double(e, index);
  case LUA_TSTRING: {
    size_t size;
    const char *s = lua_tolstring(L, index, &size);
    return encode_string(e, s, size);
  }
  case LUA_TTABLE:
    return encode_table(e, index, up);
  case LUA_TLIGHTUSERDATA:
    if (json_is_null(L, index)) return buffer_add(e->out, "null", 4) || out_of_memory(e);
    return fail(e, "cannot encode a userdata");
  case LUA_TFUNCTION:
    return fail(e, "cannot encode a function");
  case LUA_TTHREAD:
    return fail(e, "cannot encode a coroutine");
  default:
    return fail(e, "cannot encode a userdata");
  }
}

bool json_encode(lua_State *L, int index, Buffer *out, unsigned flags, JsonError *error) {
  Encoder e; /* not cleared as a whole: path_text would cost more than a small value */
  e.L = L;
  e.out = out;
  e.flags = flags;
  e.array_mark = NULL;
  e.what = NULL;
  e.path_cut = false;
  size_t start = out->len;
  int top = lua_gettop(L);
  e.path = e.path_text + sizeof e.path_text;
  bool ok = encode_value(&e, lua_absindex(L, index), NULL);
  lua_settop(L, top);
  if (ok) return true;
  out->len = start;
  error->line = error->column = 0;
  int size = (int)(e.path_text + sizeof e.path_text - e.path);
  const char *path = e.path;
  if (size && *path == '.' && !e.path_cut) path++, size--;
  snprintf(error->message, sizeof error->message, size ? "%s (at %.*s)" : "%s", e.what, size, path);
  return false;
}
