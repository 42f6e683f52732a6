/* Gives any bytes as a URL: where its host is replaced, what comes before and behind it stays, the
   new one is ASCII, and there is nothing more to be done. */
#include "http/client/idna.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char wrong[40], *url = malloc(size ? size : 1); /* so that ASan sees every read beyond it */
  if (!url) abort();
  if (size) memcpy(url, data, size);
  char *other = idna_url(url, size, wrong, sizeof wrong);
  if (other) {
    const char *host = memmem(url, size, "://", 3);
    size_t front = (size_t)(host + 3 - url), len = strlen(other);
    if (*wrong || memcmp(url, other, front) != 0) abort();
    char *again = idna_url(other, len, wrong, sizeof wrong);
    if (again || *wrong) abort();
    free(other);
  }
  if (memchr(wrong, 0, sizeof wrong) == NULL) abort();
  free(url);
  return 0;
}
