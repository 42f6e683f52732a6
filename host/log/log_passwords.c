#include "log/log_passwords.h"

#include <string.h>

/* Does the authority of a URL, or the text of which it is a part, end here? */
static bool is_end(char c) { return (unsigned char)c <= ' ' || strchr("/?#\"\\<>", c); }

void log_passwords_hide(Buffer *out, size_t from) {
  static const char shown[] = "***";
  char *at = out->data + from;
  while ((at = memmem(at, (size_t)(out->data + out->len - at), "://", 3))) {
    char *end = out->data + out->len, *colon = NULL, *host = NULL;
    at += 3;
    for (char *p = at; p < end && !is_end(*p); p++) {
      if (*p == ':' && !colon) colon = p;
      if (*p == '@') host = p;
    }
    if (!colon || !host || host - colon < 2) continue;
    size_t n = (size_t)(host - colon) - 1, kept = n < sizeof shown - 1 ? n : sizeof shown - 1;
    memcpy(colon + 1, shown, kept);
    memmove(colon + 1 + kept, host, (size_t)(end - host));
    out->len -= n - kept;
    at = colon;
  }
}
