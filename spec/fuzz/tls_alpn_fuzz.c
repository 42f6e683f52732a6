/* Chooses among the protocols that a client names (ALPN), which OpenSSL passes on as they came,
   once it has seen that they are a list. The first line names ours, with commas; the rest is the
   list of the client. What is chosen is a protocol of both, of those the one that we name first;
   and without one the client is refused. */
#include "fuzz.h"
#include "net/tls_context.c" // the function is static

enum { MOST_OURS = 8 };

/* What OpenSSL checks before it asks: the list is not empty, nor is a name in it. */
static bool is_list(const uint8_t *list, size_t n) {
  size_t at = 0;
  while (at < n && list[at]) at += 1u + list[at];
  return n > 0 && at == n;
}

static bool has(const uint8_t *list, size_t n, const char *name) {
  size_t length = strlen(name);
  for (size_t at = 0; at < n; at += 1u + list[at])
    if (list[at] == length && !memcmp(list + at + 1, name, length)) return true;
  return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const uint8_t *end = size ? memchr(data, '\n', size) : NULL;
  if (!end) return 0;
  size_t n = size - (size_t)(end + 1 - data);
  if (!is_list(end + 1, n)) return 0;
  char *ours = strndup((const char *)data, (size_t)(end - data)), *rest = ours, *name;
  uint8_t *theirs = (uint8_t *)exact_copy(end + 1, n);
  const char *names[MOST_OURS];
  TlsOptions options = {.alpn = names};
  check(ours);
  while (options.n_alpn < MOST_OURS && (name = strsep(&rest, ","))) names[options.n_alpn++] = name;
  char error[TLS_ERROR_MAX] = "";
  Making making = {.error = error};
  TlsContext context = {0};
  bool is_good = list_protocols(&making, &context, &options);
  for (size_t i = 0; i < options.n_alpn; i++)
    check(!is_good || (*names[i] && strlen(names[i]) < 256));
  check(is_good || *error);
  if (is_good && context.n_alpn) {
    const unsigned char *chosen = NULL;
    unsigned char length = 0;
    size_t first = 0;
    while (first < options.n_alpn && !has(theirs, n, names[first])) first++;
    int result = choose_protocol(NULL, &chosen, &length, theirs, (unsigned)n, &context);
    check((result == SSL_TLSEXT_ERR_OK) == (first < options.n_alpn));
    if (result == SSL_TLSEXT_ERR_OK) {
      check(chosen > theirs && chosen + length <= theirs + n && length == strlen(names[first]));
      check(!memcmp(chosen, names[first], length));
    }
  }
  free(context.alpn);
  free(theirs);
  free(ours);
  return 0;
}
