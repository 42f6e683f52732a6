#include "jwt/jwt_token.h"

#include "base/base64.h"
#include "json/json.h"

#include <lauxlib.h>
#include <string.h>

/* Decodes one part to token->bytes + at. */
static bool decode(JwtToken *token, size_t at, const char *text, size_t n, size_t *len) {
  return base64_decode(token->bytes + at, sizeof token->bytes - at, text, n, len,
                       sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

const char *jwt_token_read(JwtToken *token, const char *text, size_t n) {
  if (n > JWT_TOKEN_LONGEST) return "the token has more than 16384 characters";
  const char *end = text + n, *dot = memchr(text, '.', n);
  const char *second = dot ? memchr(dot + 1, '.', (size_t)(end - dot - 1)) : NULL;
  if (!second) return "the token is not HEADER.PAYLOAD.SIGNATURE";
  if (memchr(second + 1, '.', (size_t)(end - second - 1)))
    return "the token has more than three parts (encrypted ones are not supported)";
  token->signed_len = (size_t)(second - text);
  if (!decode(token, 0, text, (size_t)(dot - text), &token->header_len))
    return "the token's header is not base64url";
  size_t at = token->header_len;
  if (!decode(token, at, dot + 1, (size_t)(second - dot - 1), &token->payload_len))
    return "the token's payload is not base64url";
  at += token->payload_len;
  if (!decode(token, at, second + 1, (size_t)(end - second - 1), &token->signature_len))
    return "the token's signature is not base64url";
  return NULL;
}

/* --- objects --- */

/* The members of all objects in valid JSON: there is a colon for each, and no other outside of
   strings. */
static size_t count_colons(const char *json, size_t n) {
  size_t colons = 0;
  bool in_string = false;
  for (size_t i = 0; i < n; i++) {
    if (json[i] == '"')
      in_string = !in_string;
    else if (in_string)
      i += json[i] == '\\';
    else
      colons += json[i] == ':';
  }
  return colons;
}

/* The members of all objects in the table on the top of L. A name that is repeated is there once.
   Its depth is that of JSON. */
static size_t count_members(lua_State *L) {
  bool is_object = json_get_mark(L, -1) != JSON_ARRAY;
  size_t members = 0;
  luaL_checkstack(L, 4, "too deep");
  for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
    members += is_object;
    if (lua_istable(L, -1)) members += count_members(L);
  }
  return members;
}

const char *jwt_token_push_object(lua_State *L, const char *json, size_t n) {
  JsonError error;
  if (!json_decode(L, json, n, &error)) return "is not JSON";
  const char *wrong = NULL;
  if (!lua_istable(L, -1) || json_get_mark(L, -1) == JSON_ARRAY)
    wrong = "is not an object";
  else if (count_members(L) != count_colons(json, n))
    wrong = "has a name twice";
  if (wrong) lua_pop(L, 1);
  return wrong;
}
