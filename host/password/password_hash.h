/* Hashes of passwords: argon2id (RFC 9106) as text in the PHC string format,
   "$argon2id$v=19$m=19456,t=2,p=1$SALT$HASH" with unpadded base64. Each call but
   password_hash_read and password_hash_is_current computes for tens of milliseconds. Any thread may
   call these. */
#ifndef ML_PASSWORD_HASH_H
#define ML_PASSWORD_HASH_H

#include <stdbool.h>
#include <stddef.h>

enum {
  PASSWORD_HASH_TEXT = 128,    /* bytes of a hash that is made here, with its NUL */
  PASSWORD_HASH_LONGEST = 512, /* characters of a hash that is read */
  /* OWASP's first choice for argon2id */
  PASSWORD_HASH_KIB = 19 * 1024,
  PASSWORD_HASH_PASSES = 2,
  /* The costs of a hash that is verified: a larger one would be a way to exhaust the machine. */
  PASSWORD_HASH_MOST_KIB = 256 * 1024,
  PASSWORD_HASH_MOST_PASSES = 16,
  PASSWORD_HASH_MOST_LANES = 16,
};

/* Makes a hash of the password with a new salt. False if memory has run out. */
bool password_hash_make(char hash[PASSWORD_HASH_TEXT], const char *password, size_t size);

/* Can the text be verified? Returns NULL or, for people, what it is instead. */
const char *password_hash_read(const char *hash, size_t size);

typedef enum PasswordMatch { PASSWORD_MATCHES, PASSWORD_DIFFERS, PASSWORD_NO_MEMORY } PasswordMatch;

/* Is `hash`, which password_hash_read has accepted, made of the password? Without one (NULL) it
   differs, after the same time as with one. */
PasswordMatch password_hash_match(const char *hash, const char *password, size_t size);

/* Was it made with the costs that password_hash_make has now? */
bool password_hash_is_current(const char *hash, size_t size);

#endif
