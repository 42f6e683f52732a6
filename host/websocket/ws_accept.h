/* The proof that a server has understood a handshake (RFC 6455 section 4.2.2). */
#ifndef ML_WS_ACCEPT_H
#define ML_WS_ACCEPT_H

#include <stddef.h>

#define WS_ACCEPT_SIZE 29 /* of its text, with the zero at its end */

/* Writes the value of Sec-WebSocket-Accept for that of Sec-WebSocket-Key. */
void ws_accept(char out[WS_ACCEPT_SIZE], const char *key, size_t n);

#endif
