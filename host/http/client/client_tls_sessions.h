/* Sessions of TLS that servers have offered to resume, kept by a pool for its next connections, so
   that these need no certificate and no signature. */
#ifndef ML_CLIENT_TLS_SESSIONS_H
#define ML_CLIENT_TLS_SESSIONS_H

#include "net/tls_session.h"
#include <stdint.h>

typedef struct ClientTlsKept ClientTlsKept;

/* The newest first. All zero: none. */
typedef struct ClientTlsSessions {
  ClientTlsKept *first;
} ClientTlsSessions;

/* Resumes a session with the origin whose key this is, and of this context, if there is one; it is
   used once (RFC 8446 appendix C.4). `s` is open, and has not begun its handshake. `now` is in
   nanoseconds of a clock that only goes forward. */
void client_tls_sessions_resume(ClientTlsSessions *all, const char *key, size_t key_len,
                                TlsSession *s, uint64_t now);

/* Keeps `session`, which `s` has been offered, with its reference. At most 8 are kept for an origin
   and 64 in all, each for an hour after the certificate was last checked. False, and nothing is
   taken, if memory is out. */
bool client_tls_sessions_keep(ClientTlsSessions *all, const char *key, size_t key_len,
                              TlsSession *s, SSL_SESSION *session, uint64_t now);

void client_tls_sessions_free(ClientTlsSessions *all);

#endif
