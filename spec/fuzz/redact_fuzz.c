/* Feeds queries and URLs to what takes secrets out of them for traces: the value of a name of a
   secret is never there, and there is nothing more to be taken out. */
#include "base/redact.h"
#include "fuzz.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static void check_both(bool (*redact)(Buffer *, const char *, size_t), const char *text, size_t n) {
  Buffer once = {0}, twice = {0};
  check(redact(&once, text, n));
  check(redact(&twice, once.len ? once.data : "", once.len));
  check(once.len == twice.len && (!once.len || !memcmp(once.data, twice.data, once.len)));
  buffer_free(&once);
  buffer_free(&twice);
}

/* A secret behind whatever was there before. */
static void check_secret(const char *text, size_t n) {
  static const char secret[] = "&access_token=S3cret";
  Buffer query = {0}, out = {0};
  check((!n || buffer_add(&query, text, n)) && buffer_add(&query, secret, sizeof secret - 1));
  check(redact_query(&out, query.data, query.len));
  check(!memmem(out.data, out.len, "S3cret", 6) || (n && memmem(text, n, "S3cret", 6)));
  buffer_free(&query);
  buffer_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char *text = exact_copy(data, size);
  check_both(redact_query, text, size);
  check_both(redact_url, text, size);
  check_secret(text, size);
  free(text);
  return 0;
}
