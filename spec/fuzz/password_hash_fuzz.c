/* Reads stored hashes of passwords, which come from a database. What is taken for a hash is one for
   libsodium, too, and what is said to have today's costs has them. Nothing is computed. */
#include "fuzz.h"
#include "password/password_hash.h"

#include <sodium.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  check(sodium_init() >= 0);
  char *text = malloc(size + 1); /* as Lua has it: with a NUL behind it */
  check(text);
  if (size) memcpy(text, data, size);
  text[size] = 0;
  const char *wrong = password_hash_read(text, size);
  bool is_current = password_hash_is_current(text, size);
  check(!is_current || !wrong);
  check(wrong || (size <= PASSWORD_HASH_LONGEST && strlen(text) == size));
  if (!wrong && size < crypto_pwhash_STRBYTES) { /* libsodium compares no longer ones */
    bool is_argon2id = strncmp(text, "$argon2id$", 10) == 0;
    size_t memory = (size_t)PASSWORD_HASH_KIB * 1024;
    int differs = is_argon2id
                      ? crypto_pwhash_argon2id_str_needs_rehash(text, PASSWORD_HASH_PASSES, memory)
                      : crypto_pwhash_argon2i_str_needs_rehash(text, 3, memory);
    check(differs >= 0);
    check(!is_current || (is_argon2id && !differs));
  }
  free(text);
  return 0;
}
