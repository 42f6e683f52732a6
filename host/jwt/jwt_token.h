/* Signed tokens in the compact form (RFC 7515 section 3.1): HEADER.PAYLOAD.SIGNATURE in unpadded
   base64url. What is read here comes from strangers and is not trusted. */
#ifndef ML_JWT_TOKEN_H
#define ML_JWT_TOKEN_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

enum { JWT_TOKEN_LONGEST = 16384 };

/* The decoded parts, one after the other. */
typedef struct JwtToken {
  size_t signed_len; /* characters of "HEADER.PAYLOAD", which are signed */
  size_t header_len, payload_len, signature_len;
  char bytes[JWT_TOKEN_LONGEST];
} JwtToken;

/* Takes a token apart. NULL, or what is wrong with it. The signature may be empty. */
const char *jwt_token_read(JwtToken *token, const char *text, size_t n);

/* Pushes the object of a JSON text whose names are unique in each object (RFC 7515 section 4, RFC
   7519 section 4). NULL, or what is wrong, for people; then nothing is pushed. Raises Lua's
   out-of-memory error. */
const char *jwt_token_push_object(lua_State *L, const char *json, size_t n);

#endif
