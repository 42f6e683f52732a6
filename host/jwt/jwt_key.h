/* Keys of RSA and of ECDSA with the curve P-256, by libcrypto: RS256, PS256 and ES256 (RFC 7518
   sections 3.3 to 3.5). Any thread may call these, also with one key at a time. */
#ifndef ML_JWT_KEY_H
#define ML_JWT_KEY_H

#include <stdbool.h>
#include <stddef.h>

typedef struct JwtKey JwtKey;

typedef enum JwtAlgorithm { JWT_RS256, JWT_PS256, JWT_ES256 } JwtAlgorithm;

enum {
  JWT_KEY_BITS_LEAST = 2048, /* of RSA: RFC 7518 asks for that many */
  JWT_KEY_BITS_MOST = 8192,  /* a signature of more takes long to verify */
  JWT_KEY_SIGNATURE = JWT_KEY_BITS_MOST / 8,
  JWT_KEY_ERROR = 256 /* bytes for a message */
};

/* A key from DER: SubjectPublicKeyInfo for a public one, PKCS #8, PKCS #1 or SEC 1 for a private
   one, whose two halves are tried on each other. Takes milliseconds. NULL, and what is wrong for
   people. */
JwtKey *jwt_key_new(const char *der, size_t n, bool is_private, char error[JWT_KEY_ERROR]);

/* The same key once more, to be freed by itself. */
JwtKey *jwt_key_share(JwtKey *key);
void jwt_key_free(JwtKey *key);

/* Is it a key of RSA, not of ECDSA? */
bool jwt_key_is_rsa(const JwtKey *key);

/* Signs with a private key that fits the algorithm; takes some milliseconds with RSA. Sets `len`.
   ES256's signature is r and s, 32 bytes each. False where libcrypto fails. */
bool jwt_key_sign(const JwtKey *key, JwtAlgorithm algorithm, const void *text, size_t n,
                  unsigned char signature[JWT_KEY_SIGNATURE], size_t *len);

/* Is this the key's signature of the text? */
bool jwt_key_verify(const JwtKey *key, JwtAlgorithm algorithm, const void *text, size_t n,
                    const void *signature, size_t len);

#endif
