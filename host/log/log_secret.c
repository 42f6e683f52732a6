#include "log/log_secret.h"

#include <string.h>
#include <strings.h>

/* Words of names; "-" and "_" in names do not count. */
static const char *const words[] = {"password",   "passwd",        "passphrase", "secret",
                                    "token",      "authorization", "cookie",     "apikey",
                                    "credential", "privatekey"};

enum { LONGEST = 128 }; /* of what is looked at in a name */

bool log_secret_is(const char *name, size_t n) {
  char plain[LONGEST + 1];
  size_t len = 0;
  for (size_t i = 0; i < n && len < LONGEST; i++)
    if (name[i] != '-' && name[i] != '_' && name[i]) plain[len++] = name[i];
  plain[len] = 0;
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    if (strcasestr(plain, words[i])) return true;
  return false;
}
