#include "transfer/transfer_code.h"
#include "core/weak_keys.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

/* How many codes a state remembers in each direction before it starts over. */
#define MAX_CODES 512
#define MAX_BYTES ((size_t)16 << 20)

/* A userdata that holds one code. */
#define CODE_BOX "moonloop.code"

/* The user values of the state's book. */
enum {
  BOOK_FUNCTIONS = 1, /* Lua function, weak -> box: what was sent */
  BOOK_SENT,          /* hash of the bytes -> box, so that equal functions share their code */
  BOOK_LOADED,        /* address of the code -> function made of it; `loaded` keeps the codes */
  BOOK_USER_VALUES = BOOK_LOADED,
};

/* A userdata in the registry: the codes that the state remembers. */
typedef struct Book {
  size_t sent, sent_bytes;
  size_t loaded_bytes;
  int loaded_count;
  Code *loaded[MAX_CODES];
} Book;

static const char book_key; /* its address is the registry's key */

Code *transfer_code_hold(Code *code) {
  atomic_fetch_add_explicit(&code->refs, 1, memory_order_relaxed);
  return code;
}

void transfer_code_drop(Code *code) {
  if (!code || atomic_fetch_sub_explicit(&code->refs, 1, memory_order_acq_rel) > 1) return;
  free(code);
}

/* --- the book --- */

static int l_drop_box(lua_State *L) {
  Code **box = lua_touserdata(L, 1);
  transfer_code_drop(*box);
  *box = NULL;
  return 0;
}

/* Forgets what was loaded. */
static void forget_loaded(Book *book) {
  while (book->loaded_count) transfer_code_drop(book->loaded[--book->loaded_count]);
  book->loaded_bytes = 0;
}

static int l_drop_book(lua_State *L) {
  forget_loaded(lua_touserdata(L, 1));
  return 0;
}

/* Gives the userdata on the top of L its finalizer. */
static void set_finalizer(lua_State *L, const char *name, lua_CFunction finalize) {
  if (luaL_newmetatable(L, name)) {
    lua_pushcfunction(L, finalize);
    lua_setfield(L, -2, "__gc");
  }
  lua_setmetatable(L, -2);
}

/* Pushes the book. */
static Book *push_book(lua_State *L) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &book_key) == LUA_TUSERDATA) return lua_touserdata(L, -1);
  lua_pop(L, 1);
  Book *book = lua_newuserdatauv(L, sizeof *book, BOOK_USER_VALUES);
  memset(book, 0, sizeof *book);
  set_finalizer(L, "moonloop.code_book", l_drop_book);
  for (int i = 1; i <= BOOK_USER_VALUES; i++) {
    lua_newtable(L);
    if (i == BOOK_FUNCTIONS) weak_keys_set(L);
    lua_setiuservalue(L, -2, i);
  }
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &book_key);
  return book;
}

/* --- sending --- */

static int add_code(lua_State *L, const void *bytes, size_t n, void *scratch) {
  (void)L;
  return !buffer_add(scratch, bytes, n);
}

static lua_Integer hash_of(const char *bytes, size_t n) {
  uint64_t hash = n;
  for (; n >= 8; bytes += 8, n -= 8) {
    uint64_t word;
    memcpy(&word, bytes, 8);
    hash = (hash ^ word) * 0x9E3779B97F4A7C15u;
    hash ^= hash >> 29;
  }
  for (; n; bytes++, n--) hash = (hash ^ (uint8_t)*bytes) * 0x100000001B3u;
  return (lua_Integer)(hash ^ hash >> 32);
}

/* Pushes a box with a new code of these bytes for the function at `function`. */
static Code *push_new_box(lua_State *L, int function, const Buffer *bytes) {
  lua_Debug info;
  lua_pushvalue(L, function);
  lua_getinfo(L, ">u", &info);
  Code **box = lua_newuserdatauv(L, sizeof *box, 0);
  *box = NULL;
  set_finalizer(L, CODE_BOX, l_drop_box);
  Code *code = malloc(sizeof *code + bytes->len);
  if (!code) luaL_error(L, "not enough memory");
  atomic_init(&code->refs, 1);
  code->size = bytes->len;
  code->upvalues = info.nups;
  memcpy(code->bytes, bytes->data, bytes->len);
  return *box = code;
}

/* Pushes the box for the bytes of the function at `function`; the book is at `at`. */
static Code *push_box(lua_State *L, Book *book, int at, int function, const Buffer *bytes) {
  lua_Integer hash = hash_of(bytes->data, bytes->len);
  lua_getiuservalue(L, at, BOOK_SENT);
  if (lua_rawgeti(L, -1, hash) == LUA_TUSERDATA) {
    Code *code = *(Code **)lua_touserdata(L, -1);
    if (code && code->size == bytes->len && memcmp(code->bytes, bytes->data, bytes->len) == 0) {
      lua_remove(L, -2);
      return code;
    }
  }
  lua_pop(L, 1);
  if (book->sent >= MAX_CODES || book->sent_bytes >= MAX_BYTES) {
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_setiuservalue(L, at, BOOK_SENT);
    book->sent = book->sent_bytes = 0;
  }
  Code *code = push_new_box(L, function, bytes);
  lua_pushvalue(L, -1);
  lua_rawseti(L, -3, hash);
  book->sent++;
  book->sent_bytes += code->size;
  lua_remove(L, -2);
  return code;
}

Code *transfer_code_known(lua_State *L) {
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  int function = lua_gettop(L);
  push_book(L);
  lua_getiuservalue(L, -1, BOOK_FUNCTIONS);
  lua_pushvalue(L, function);
  Code *code = NULL; /* even while the state is being closed */
  if (lua_rawget(L, -2) == LUA_TUSERDATA) code = *(Code **)lua_touserdata(L, -1);
  lua_settop(L, function);
  return code;
}

Code *transfer_code_of_function(lua_State *L, Buffer *scratch) {
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  int function = lua_gettop(L);
  scratch->len = 0;
  if (lua_dump(L, add_code, scratch, false)) luaL_error(L, "not enough memory");
  Book *book = push_book(L);
  lua_getiuservalue(L, -1, BOOK_FUNCTIONS);
  lua_pushvalue(L, function);
  Code *code = push_box(L, book, function + 1, function, scratch);
  lua_rawset(L, -3);
  lua_settop(L, function);
  return code;
}

/* --- receiving --- */

/* May the function on the top of L be reused? Only if its only upvalue is the globals: then two
   instances of it cannot be told apart. */
static bool is_plain(lua_State *L, const Code *code) {
  if (code->upvalues == 0) return true;
  if (code->upvalues > 1) return false;
  const char *name = lua_getupvalue(L, -1, 1);
  if (!name) return false;
  lua_pushglobaltable(L);
  bool plain = strcmp(name, "_ENV") == 0 && lua_rawequal(L, -1, -2);
  lua_pop(L, 2);
  return plain;
}

static void load_code(lua_State *L, const Code *code) {
  if (luaL_loadbufferx(L, code->bytes, code->size, "=function", "b")) lua_error(L);
}

void transfer_code_push_function(lua_State *L, Code *code, bool another) {
  if (another || code->upvalues > 1) {
    load_code(L, code);
    return;
  }
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  Book *book = push_book(L);
  int at = lua_gettop(L);
  lua_getiuservalue(L, at, BOOK_LOADED);
  bool known = lua_rawgetp(L, -1, code) == LUA_TFUNCTION;
  if (known && is_plain(L, code)) {
    lua_replace(L, at);
    lua_settop(L, at);
    return;
  }
  lua_pop(L, 1);
  load_code(L, code); /* a new function has the globals as its first upvalue */
  if (is_plain(L, code)) {
    if (book->loaded_count == MAX_CODES || book->loaded_bytes >= MAX_BYTES) {
      lua_newtable(L);
      lua_pushvalue(L, -1);
      lua_setiuservalue(L, at, BOOK_LOADED);
      lua_replace(L, at + 1);
      forget_loaded(book);
      known = false;
    }
    lua_pushvalue(L, -1);
    lua_rawsetp(L, at + 1, code);
    if (!known) {
      book->loaded[book->loaded_count++] = transfer_code_hold(code);
      book->loaded_bytes += code->size;
    }
  }
  lua_replace(L, at);
  lua_settop(L, at);
}
