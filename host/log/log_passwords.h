/* Passwords of URLs, which get into messages with the URLs. */
#ifndef ML_LOG_PASSWORDS_H
#define ML_LOG_PASSWORDS_H

#include "base/buffer.h"

/* Replaces those in what was appended behind the first `from` bytes,
   "postgres://user:PASSWORD@host", by "***". */
void log_passwords_hide(Buffer *out, size_t from);

#endif
