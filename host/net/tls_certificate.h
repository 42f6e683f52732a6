/* What certificates say, as text for messages and scripts. */
#ifndef ML_TLS_CERTIFICATE_H
#define ML_TLS_CERTIFICATE_H

#include "base/buffer.h"
#include "net/tls_library.h"
#include <time.h>

/* Appends the subject ("CN=example.com, O=Example"), or the issuer. False if memory is out. */
bool tls_certificate_subject(const TlsLibrary *lib, X509 *cert, Buffer *to);
bool tls_certificate_issuer(const TlsLibrary *lib, X509 *cert, Buffer *to);

/* Calls `each` for the names and addresses that it is for, until one call returns false. */
typedef bool TlsNameOf(void *data, const char *name, size_t n);
void tls_certificate_names(const TlsLibrary *lib, X509 *cert, TlsNameOf *each, void *data);

/* Appends a short name for messages: the first of its names, or else its subject. */
bool tls_certificate_title(const TlsLibrary *lib, X509 *cert, Buffer *to);

/* When it ends, in Unix seconds. */
time_t tls_certificate_not_after(const TlsLibrary *lib, X509 *cert);

enum { TLS_FINGERPRINT = 32 };
/* The SHA-256 of the whole certificate. False if that fails. */
bool tls_certificate_fingerprint(const TlsLibrary *lib, X509 *cert,
                                 unsigned char print[static TLS_FINGERPRINT]);

/* Appends why the verification of a peer has failed. `error` is one of X509_V_ERR_*; `cert` the
   certificate that it is about, or NULL; `asked` the name that was asked for, or NULL. False if
   memory is out. */
bool tls_certificate_reason(const TlsLibrary *lib, int error, X509 *cert, const char *asked,
                            Buffer *to);

#endif
