/* HS256, HS384, HS512 (RFC 7518 section 3.2), by libsodium. */
#ifndef ML_JWT_MAC_H
#define ML_JWT_MAC_H

#include <stddef.h>

enum { JWT_MAC_MOST = 64 };

/* The MAC of the text, for 256, 384 or 512 bits. Returns its length in bytes. */
size_t jwt_mac(unsigned char mac[JWT_MAC_MOST], int bits, const void *key, size_t key_len,
               const void *text, size_t n);

#endif
