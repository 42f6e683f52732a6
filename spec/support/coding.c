/* Content codings for the specs: the coders of host/http/content_coding.h, which the server and the
   client use in C. */
#include "http/content_coding.h"

#include <lauxlib.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/resource.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SANITIZED = true };
#else
enum { SANITIZED = false };
#endif

static const char *const results[] = {
    [CODING_DONE] = "done",
    [CODING_FULL] = "full",
    [CODING_MALFORMED] = "malformed",
    [CODING_NO_MEMORY] = "no memory",
};

/* Runs the list of pieces at 3 through `c`, each fed on its own; frees it. */
static int run(lua_State *L, ContentCoder *c, size_t limit, bool flush) {
  Buffer out = {0};
  CodingResult result = CODING_DONE;
  luaL_argcheck(L, c, 1, "no such coder");
  for (lua_Integer i = 1; result == CODING_DONE && lua_geti(L, 3, i) == LUA_TSTRING; i++) {
    size_t n;
    const char *bytes = lua_tolstring(L, -1, &n);
    result = content_coding_coder_feed(c, &bytes, &n, &out, limit);
    if (result == CODING_DONE && flush) result = content_coding_coder_flush(c, &out);
    lua_pop(L, 1);
  }
  if (result == CODING_DONE) result = content_coding_coder_finish(c, &out);
  content_coding_coder_free(c);
  lua_pushlstring(L, out.data ? out.data : "", out.len);
  buffer_free(&out);
  lua_pushstring(L, results[result]);
  return 2;
}

static ContentCoding check_coding(lua_State *L) {
  ContentCoding coding;
  size_t n;
  const char *name = luaL_checklstring(L, 1, &n);
  luaL_argcheck(L, content_coding_find(name, n, &coding), 1, "unknown coding");
  return coding;
}

/* encode(name, level, pieces [, flush]) -> bytes, result; `flush` after each piece */
static int l_encode(lua_State *L) {
  ContentCoding coding = check_coding(L);
  return run(L, content_coding_encoder_new(coding, (int)luaL_checkinteger(L, 2)), SIZE_MAX,
             lua_toboolean(L, 4));
}

/* decode(name, limit | nil, pieces) -> bytes, result */
static int l_decode(lua_State *L) {
  ContentCoding coding = check_coding(L);
  size_t limit = lua_isnil(L, 2) ? SIZE_MAX : (size_t)luaL_checkinteger(L, 2);
  return run(L, content_coding_decoder_new(coding), limit, false);
}

/* encode_whole(name, level, bytes [, abandoned]) -> bytes, result */
static int l_encode_whole(lua_State *L) {
  Buffer out = {0};
  atomic_bool abandoned = lua_toboolean(L, 4);
  size_t n;
  const char *bytes = luaL_checklstring(L, 3, &n);
  CodingResult result = content_coding_encode(check_coding(L), (int)luaL_checkinteger(L, 2), bytes,
                                              n, &abandoned, &out);
  lua_pushlstring(L, out.data ? out.data : "", out.len);
  buffer_free(&out);
  lua_pushstring(L, results[result]);
  return 2;
}

/* Takes all of the heap, but for small pieces. */
static void *exhaust(void) {
  void *piece, *taken = NULL;
  for (size_t size = 1 << 20; size >= 4096; size /= 2)
    while ((piece = malloc(size))) {
      *(void **)piece = taken;
      taken = piece;
    }
  return taken;
}

static void give_back(void *taken) {
  while (taken) {
    void *next = *(void **)taken;
    free(taken);
    taken = next;
  }
}

/* encode_without_memory(name, level, bytes) -> result; nil in a sanitizer's build, whose malloc
   does not return without memory. */
static int l_encode_without_memory(lua_State *L) {
  if (SANITIZED) return 0;
  ContentCoding coding = check_coding(L);
  int level = (int)luaL_checkinteger(L, 2);
  Buffer out = {0};
  size_t n;
  const char *bytes = luaL_checklstring(L, 3, &n);
  struct rlimit limit, none;
  getrlimit(RLIMIT_AS, &limit);
  none = (struct rlimit){0, limit.rlim_max};
  setrlimit(RLIMIT_AS, &none);
  void *taken = exhaust();
  CodingResult result = content_coding_encode(coding, level, bytes, n, NULL, &out);
  give_back(taken);
  setrlimit(RLIMIT_AS, &limit);
  buffer_free(&out);
  lua_pushstring(L, results[result]);
  return 1;
}

int luaopen_coding(lua_State *L) {
  static const luaL_Reg functions[] = {{"encode", l_encode},
                                       {"decode", l_decode},
                                       {"encode_whole", l_encode_whole},
                                       {"encode_without_memory", l_encode_without_memory},
                                       {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
