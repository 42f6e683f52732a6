/* What a TLS connection has agreed on, for scripts. */
#ifndef ML_TLS_AGREED_H
#define ML_TLS_AGREED_H

#include "net/tls_session.h"
#include <lua.h>

/* Pushes {version, cipher, alpn, resumed, peer = {subject, issuer, names, fingerprint, not_after}};
   `alpn` and `peer` are nil if there is none. The version is written "1.3", as in the option
   min_version; the fingerprint is the SHA-256 in hexadecimal, not_after is in Unix seconds. */
void tls_agreed_push(lua_State *L, const TlsSession *session);

#endif
