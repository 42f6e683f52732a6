/* moonloop.crypto: the few primitives that signed cookies and random names are made of, from
   libsodium. What is signed, and how, is decided in scripts/moonloop/web/signer.lua. */
#include "modules.h"

#include <lauxlib.h>
#include <sodium.h>

/* More random bytes than this at once are nobody's key or name. */
enum { MAX_RANDOM = 1024 };

/* hmac_sha256(key, text) -> 32 bytes (RFC 2104, FIPS 180-4). The key may have any length. */
static int l_hmac_sha256(lua_State *L) {
  size_t key_len, text_len;
  const char *key = luaL_checklstring(L, 1, &key_len);
  const char *text = luaL_checklstring(L, 2, &text_len);
  crypto_auth_hmacsha256_state state;
  unsigned char mac[crypto_auth_hmacsha256_BYTES];
  crypto_auth_hmacsha256_init(&state, (const unsigned char *)key, key_len);
  crypto_auth_hmacsha256_update(&state, (const unsigned char *)text, text_len);
  crypto_auth_hmacsha256_final(&state, mac);
  sodium_memzero(&state, sizeof state);
  lua_pushlstring(L, (const char *)mac, sizeof mac);
  return 1;
}

/* equal(a, b) -> boolean. The time it takes depends on the lengths alone, not on where two strings
   of one length differ. */
static int l_equal(lua_State *L) {
  size_t a_len, b_len;
  const char *a = luaL_checklstring(L, 1, &a_len), *b = luaL_checklstring(L, 2, &b_len);
  lua_pushboolean(L, a_len == b_len && sodium_memcmp(a, b, a_len) == 0);
  return 1;
}

/* random(n) -> n bytes that cannot be predicted, from the system's generator; n is 1 to 1024. */
static int l_random(lua_State *L) {
  lua_Integer n = luaL_checkinteger(L, 1);
  luaL_argcheck(L, n >= 1 && n <= MAX_RANDOM, 1, "1 to 1024 bytes");
  char bytes[MAX_RANDOM];
  randombytes_buf(bytes, (size_t)n);
  lua_pushlstring(L, bytes, (size_t)n);
  return 1;
}

/* base64url(bytes) -> text: the URL-safe alphabet without padding (RFC 4648 section 5). */
static int l_base64url(lua_State *L) {
  size_t n;
  const char *bytes = luaL_checklstring(L, 1, &n);
  luaL_Buffer b;
  size_t size = sodium_base64_encoded_len(n, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
  char *out = luaL_buffinitsize(L, &b, size);
  sodium_bin2base64(out, size, (const unsigned char *)bytes, n,
                    sodium_base64_VARIANT_URLSAFE_NO_PADDING);
  luaL_pushresultsize(&b, size - 1); /* without its NUL */
  return 1;
}

/* from_base64url(text) -> bytes, or nil where the text is not what base64url makes of any bytes. */
static int l_from_base64url(lua_State *L) {
  size_t n, len;
  const char *text = luaL_checklstring(L, 1, &n);
  luaL_Buffer b;
  char *out = luaL_buffinitsize(L, &b, n);
  if (sodium_base642bin((unsigned char *)out, n, text, n, NULL, &len, NULL,
                        sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0) {
    lua_pushnil(L);
    return 1;
  }
  luaL_pushresultsize(&b, len);
  return 1;
}

int luaopen_moonloop_crypto(lua_State *L) {
  static const luaL_Reg functions[] = {{"hmac_sha256", l_hmac_sha256},
                                       {"equal", l_equal},
                                       {"random", l_random},
                                       {"base64url", l_base64url},
                                       {"from_base64url", l_from_base64url},
                                       {NULL, NULL}};
  if (sodium_init() < 0) return luaL_error(L, "libsodium could not be initialised");
  luaL_newlib(L, functions);
  return 1;
}
