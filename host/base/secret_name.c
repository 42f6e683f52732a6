#include "base/secret_name.h"

#include <string.h>
#include <strings.h>

/* "-" and "_" in names do not count. */
static const char *const words[] = {
    "passw",         "passphrase", "pwd",        "secret",     "token", "jwt",       "cookie",
    "authorization", "apikey",     "privatekey", "credential", "csrf",  "sessionid", NULL};
static const char *const whole[] = {"auth", "sid", "sig", NULL};
static const char *const query_words[] = {"key", "code", "auth", "sig", "session", NULL};

enum { LONGEST = 128 }; /* of what is looked at in a name */

static void make_plain(const char *name, size_t n, char plain[static LONGEST + 1]) {
  size_t len = 0;
  for (size_t i = 0; i < n && len < LONGEST; i++)
    if (name[i] != '-' && name[i] != '_' && name[i]) plain[len++] = name[i];
  plain[len] = 0;
}

static bool has_word(const char *plain, const char *const *list) {
  for (; *list; list++)
    if (strcasestr(plain, *list)) return true;
  return false;
}

static bool is_one_of(const char *plain, const char *const *list) {
  for (; *list; list++)
    if (strcasecmp(plain, *list) == 0) return true;
  return false;
}

bool secret_name_is(const char *name, size_t n) {
  char plain[LONGEST + 1];
  make_plain(name, n, plain);
  return has_word(plain, words) || is_one_of(plain, whole);
}

bool secret_name_is_in_query(const char *name, size_t n) {
  char plain[LONGEST + 1];
  make_plain(name, n, plain);
  return has_word(plain, words) || is_one_of(plain, whole) || has_word(plain, query_words);
}
