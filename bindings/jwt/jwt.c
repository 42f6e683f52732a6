/* moonloop.jwt.core: tokens taken apart, and signatures. What is accepted is decided in
   scripts/moonloop/jwt. */
#include "bindings/jwt/jwt.h"
#include "bindings/jwt/open.h"
#include "jwt/jwt_mac.h"
#include "jwt/jwt_token.h"

#include <lauxlib.h>
#include <sodium.h>

/* read(token) -> header, signed, payload, signature | nil, what is wrong. The header is a table,
   `signed` the text that is signed, the others are bytes. */
static int l_read(lua_State *L) {
  size_t n;
  const char *text = luaL_checklstring(L, 1, &n);
  JwtToken token;
  const char *wrong = jwt_token_read(&token, text, n);
  if (wrong) {
    lua_pushnil(L);
    lua_pushstring(L, wrong);
    return 2;
  }
  wrong = jwt_token_push_object(L, token.bytes, token.header_len);
  if (wrong) {
    lua_pushnil(L);
    lua_pushfstring(L, "the token's header %s", wrong);
    return 2;
  }
  const char *payload = token.bytes + token.header_len;
  lua_pushlstring(L, text, token.signed_len);
  lua_pushlstring(L, payload, token.payload_len);
  lua_pushlstring(L, payload + token.payload_len, token.signature_len);
  return 4;
}

/* claims(payload) -> table | nil, what is wrong */
static int l_claims(lua_State *L) {
  size_t n;
  const char *payload = luaL_checklstring(L, 1, &n);
  const char *wrong = jwt_token_push_object(L, payload, n);
  if (!wrong) return 1;
  lua_pushnil(L);
  lua_pushfstring(L, "the token's payload %s", wrong);
  return 2;
}

/* mac(bits, key, text) -> the HMAC with SHA-256, SHA-384 or SHA-512 */
static int l_mac(lua_State *L) {
  size_t key_len, n;
  lua_Integer bits = luaL_checkinteger(L, 1);
  const char *key = luaL_checklstring(L, 2, &key_len), *text = luaL_checklstring(L, 3, &n);
  luaL_argcheck(L, bits == 256 || bits == 384 || bits == 512, 1, "256, 384 or 512 expected");
  unsigned char mac[JWT_MAC_MOST];
  size_t len = jwt_mac(mac, (int)bits, key, key_len, text, n);
  lua_pushlstring(L, (const char *)mac, len);
  return 1;
}

static const unsigned char *check_bytes(lua_State *L, int index, size_t size) {
  size_t n;
  const char *bytes = luaL_checklstring(L, index, &n);
  luaL_argcheck(L, n == size, index, "wrong length");
  return (const unsigned char *)bytes;
}

/* ed25519_pair(seed) -> secret, public: of 64 and 32 bytes */
static int l_ed25519_pair(lua_State *L) {
  unsigned char public[crypto_sign_PUBLICKEYBYTES], secret[crypto_sign_SECRETKEYBYTES];
  crypto_sign_seed_keypair(public, secret, check_bytes(L, 1, crypto_sign_SEEDBYTES));
  lua_pushlstring(L, (const char *)secret, sizeof secret);
  lua_pushlstring(L, (const char *)public, sizeof public);
  sodium_memzero(secret, sizeof secret);
  return 2;
}

/* ed25519_sign(secret, text) -> signature */
static int l_ed25519_sign(lua_State *L) {
  size_t n;
  const unsigned char *secret = check_bytes(L, 1, crypto_sign_SECRETKEYBYTES);
  const char *text = luaL_checklstring(L, 2, &n);
  unsigned char signature[crypto_sign_BYTES];
  crypto_sign_detached(signature, NULL, (const unsigned char *)text, n, secret);
  lua_pushlstring(L, (const char *)signature, sizeof signature);
  return 1;
}

/* ed25519_verify(public, text, signature) -> boolean */
static int l_ed25519_verify(lua_State *L) {
  size_t n, len;
  const unsigned char *public = check_bytes(L, 1, crypto_sign_PUBLICKEYBYTES);
  const char *text = luaL_checklstring(L, 2, &n), *signature = luaL_checklstring(L, 3, &len);
  lua_pushboolean(L, len == crypto_sign_BYTES &&
                         crypto_sign_verify_detached((const unsigned char *)signature,
                                                     (const unsigned char *)text, n, public) == 0);
  return 1;
}

int luaopen_moonloop_jwt_core(lua_State *L) {
  static const luaL_Reg functions[] = {{"read", l_read},
                                       {"claims", l_claims},
                                       {"mac", l_mac},
                                       {"ed25519_pair", l_ed25519_pair},
                                       {"ed25519_sign", l_ed25519_sign},
                                       {"ed25519_verify", l_ed25519_verify},
                                       {"key", jwt_l_key},
                                       {NULL, NULL}};
  if (sodium_init() < 0) return luaL_error(L, "libsodium could not be initialised");
  jwt_key_open(L);
  luaL_newlib(L, functions);
  return 1;
}
