#include "password/password_hash.h"

#include "base/base64.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

/* A hash by its parameters. */
typedef struct Costs {
  bool is_argon2id; /* or argon2i */
  unsigned long version, kib, passes, lanes;
} Costs;

/* Reads "NAME=NUMBER" and the character `end`; moves `p` behind it. */
static bool read_number(const char **p, const char *name, char end, unsigned long *number) {
  size_t len = strlen(name);
  if (strncmp(*p, name, len) != 0) return false;
  *p += len;
  size_t digits = strspn(*p, "0123456789");
  if (digits == 0 || digits > 9 || (**p == '0' && digits > 1) || (*p)[digits] != end) return false;
  *number = strtoul(*p, NULL, 10);
  *p += digits + 1;
  return true;
}

/* Unpadded base64 of at least `least` bytes. */
static bool is_base64(const char *text, size_t size, size_t least) {
  unsigned char bytes[PASSWORD_HASH_LONGEST];
  size_t n;
  return base64_decode(bytes, sizeof bytes, text, size, &n,
                       sodium_base64_VARIANT_ORIGINAL_NO_PADDING) &&
         n >= least;
}

/* Reads all of a hash. `text` ends with a NUL. */
static bool read_costs(const char *text, Costs *costs) {
  const char *p = text;
  costs->is_argon2id = strncmp(p, "$argon2id$", 10) == 0;
  if (!costs->is_argon2id && strncmp(p, "$argon2i$", 9) != 0) return false;
  p += costs->is_argon2id ? 10 : 9;
  if (!read_number(&p, "v=", '$', &costs->version)) return false;
  if (!read_number(&p, "m=", ',', &costs->kib)) return false;
  if (!read_number(&p, "t=", ',', &costs->passes)) return false;
  if (!read_number(&p, "p=", '$', &costs->lanes)) return false;
  const char *salt_end = strchr(p, '$');
  return salt_end && is_base64(p, (size_t)(salt_end - p), 8) &&
         is_base64(salt_end + 1, strlen(salt_end + 1), 16);
}

/* Hashes that others make, by their beginnings. */
static const char *name_other(const char *hash) {
  static const struct {
    const char *begins, *name;
  } others[] = {{"$2", "a hash of bcrypt"},       {"$argon2d$", "a hash of argon2d"},
                {"$scrypt$", "a hash of scrypt"}, {"$7$", "a hash of scrypt"},
                {"$y$", "a hash of yescrypt"},    {"$1$", "a hash of MD5"},
                {"$5$", "a hash of SHA-256"},     {"$6$", "a hash of SHA-512"},
                {"$pbkdf2", "a hash of PBKDF2"},  {"pbkdf2_", "a hash of PBKDF2"},
                {"$argon2", "a malformed hash"}};
  for (size_t i = 0; i < sizeof others / sizeof *others; i++)
    if (strncmp(hash, others[i].begins, strlen(others[i].begins)) == 0) return others[i].name;
  return "not a hash";
}

const char *password_hash_read(const char *hash, size_t size) {
  Costs costs;
  if (size > PASSWORD_HASH_LONGEST || memchr(hash, 0, size)) return "not a hash";
  if (!read_costs(hash, &costs)) return name_other(hash);
  if (costs.version != 19) return "a hash of an old version of argon2";
  if (costs.lanes < 1 || costs.passes < 1 || costs.kib < 8 * costs.lanes) return "a malformed hash";
  if (!costs.is_argon2id && costs.passes < 3)
    return "a hash of argon2i with less than three passes";
  if (costs.kib > PASSWORD_HASH_MOST_KIB || costs.passes > PASSWORD_HASH_MOST_PASSES ||
      costs.lanes > PASSWORD_HASH_MOST_LANES)
    return "a hash of absurd cost (at most 256 MiB, 16 passes and 16 lanes)";
  return NULL;
}

bool password_hash_is_current(const char *hash, size_t size) {
  Costs costs;
  return size <= PASSWORD_HASH_LONGEST && !memchr(hash, 0, size) && read_costs(hash, &costs) &&
         costs.is_argon2id && costs.version == 19 && costs.kib == PASSWORD_HASH_KIB &&
         costs.passes == PASSWORD_HASH_PASSES && costs.lanes == 1;
}

bool password_hash_make(char hash[PASSWORD_HASH_TEXT], const char *password, size_t size) {
  _Static_assert(PASSWORD_HASH_TEXT >= crypto_pwhash_argon2id_STRBYTES, "room for the text");
  return crypto_pwhash_argon2id_str(hash, password, size, PASSWORD_HASH_PASSES,
                                    (size_t)PASSWORD_HASH_KIB * 1024) == 0;
}

/* libsodium sets EINVAL where the password is wrong, and nothing of its own for other failures. */
static PasswordMatch match(const char *hash, const char *password, size_t size) {
  errno = 0;
  int result = strncmp(hash, "$argon2id$", 10) == 0
                   ? crypto_pwhash_argon2id_str_verify(hash, password, size)
                   : crypto_pwhash_argon2i_str_verify(hash, password, size);
  if (result == 0) return PASSWORD_MATCHES;
  return errno == EINVAL ? PASSWORD_DIFFERS : PASSWORD_NO_MEMORY;
}

PasswordMatch password_hash_match(const char *hash, const char *password, size_t size) {
  if (hash) return match(hash, password, size);
  /* The same work as for a user who is known. */
  char made[PASSWORD_HASH_TEXT];
  bool has_memory = password_hash_make(made, password, size);
  sodium_memzero(made, sizeof made);
  return has_memory ? PASSWORD_DIFFERS : PASSWORD_NO_MEMORY;
}
