/* Base64 (RFC 4648), decoded strictly: no white space, no other characters, no bits that are left
   over. */
#ifndef ML_BASE64_H
#define ML_BASE64_H

#include <sodium.h>
#include <stdbool.h>
#include <stddef.h>

/* Decodes the text to `out`, which has room for `room` bytes, and sets `len`. `variant` is
   libsodium's. False if the text is not the base64 of any bytes, or the room is too small. */
bool base64_decode(void *out, size_t room, const char *text, size_t n, size_t *len, int variant);

#endif
