/* What must not be seen in traces, logs and errors: secrets in the queries of URLs. */
#ifndef ML_REDACT_H
#define ML_REDACT_H

#include "base/buffer.h"

/* Appends a query, without "?", with REDACTED instead of the values of names such as "access_token"
   and "sig". False if memory is out. */
bool redact_query(Buffer *out, const char *query, size_t n);

/* Appends a URL without user, password and fragment, its query as above. */
bool redact_url(Buffer *out, const char *url, size_t n);

#endif
