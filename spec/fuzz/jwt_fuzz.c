/* Fuzzes tokens: what is taken apart is the same when it is put together again, and an object is
   accepted only if it is as long as one with unique names. The first byte says whether the rest is
   a token or a payload. */
#include "base/buffer.h"
#include "jwt/jwt_token.h"
#include "json/json.h"

#include <lauxlib.h>
#include <sodium.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { BASE64 = sodium_base64_VARIANT_URLSAFE_NO_PADDING };

static void die(const char *what) {
  fprintf(stderr, "jwt_fuzz: %s\n", what);
  abort();
}

/* Writes the bytes as base64url and a dot; returns the end. */
static char *encode(char *p, const char *bytes, size_t n) {
  size_t size = sodium_base64_encoded_len(n, BASE64);
  sodium_bin2base64(p, size, (const unsigned char *)bytes, n, BASE64);
  p[size - 1] = '.';
  return p + size;
}

static size_t count_colons(const char *json, size_t n) {
  size_t colons = 0;
  for (size_t i = 0; i < n; i++) {
    if (json[i] == '"') {
      for (i++; json[i] != '"'; i++) i += json[i] == '\\';
    } else {
      colons += json[i] == ':';
    }
  }
  return colons;
}

/* The object is on the top of L. */
static void check_object(lua_State *L, const char *json, size_t n) {
  Buffer text = {0};
  JsonError error;
  if (!lua_istable(L, -1)) die("an object is no table");
  /* What decodes and cannot be encoded is a number beyond all limits. */
  if (json_encode(L, -1, &text, 0, &error) &&
      count_colons(text.data, text.len) != count_colons(json, n))
    die("a name is there twice");
  buffer_free(&text);
}

static int l_check(lua_State *L) {
  size_t n;
  const char *json = lua_tolstring(L, 1, &n);
  const char *wrong = jwt_token_push_object(L, json, n);
  if (!wrong) check_object(L, json, n);
  if (wrong && lua_gettop(L) != 1) die("something is left on the stack");
  return 0;
}

static void check_json(lua_State *L, const char *json, size_t n) {
  lua_pushcfunction(L, l_check);
  lua_pushlstring(L, json, n);
  if (lua_pcall(L, 1, 0, 0) != LUA_OK) lua_pop(L, 1);
}

static void check_token(lua_State *L, const char *text, size_t n) {
  static JwtToken token;
  static char again[2 * JWT_TOKEN_LONGEST];
  if (jwt_token_read(&token, text, n)) return;
  const char *payload = token.bytes + token.header_len;
  char *p = encode(again, token.bytes, token.header_len);
  p = encode(p, payload, token.payload_len);
  if (token.signed_len != (size_t)(p - 1 - again)) die("the length of what is signed");
  p = encode(p, payload + token.payload_len, token.signature_len);
  if ((size_t)(p - 1 - again) != n || memcmp(again, text, n) != 0) die("another token");
  check_json(L, token.bytes, token.header_len);
  check_json(L, payload, token.payload_len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static lua_State *L;
  if (!L) {
    if (sodium_init() < 0) die("libsodium");
    L = luaL_newstate();
  }
  if (!size) return 0;
  char *text = malloc(size > 1 ? size - 1 : 1); /* so that reading past the end is seen */
  if (!text) die("out of memory");
  memcpy(text, data + 1, size - 1);
  if (data[0] & 1)
    check_json(L, text, size - 1);
  else
    check_token(L, text, size - 1);
  free(text);
  return 0;
}
