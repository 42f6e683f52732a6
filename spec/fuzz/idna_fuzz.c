/* Gives any bytes as a URL: where its host is replaced, what comes before and behind it stays, the
   new one is ASCII, and there is nothing more to be done. */
#include "http/client/idna.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char wrong[40], *url = malloc(size ? size : 1); /* so that ASan sees every read beyond it */
  char *other = malloc(IDNA_URL_SIZE(size));
  if (!url || !other) abort();
  if (size) memcpy(url, data, size);
  if (idna_url(url, size, other, wrong, sizeof wrong)) {
    const char *host = memmem(url, size, "://", 3);
    size_t front = (size_t)(host + 3 - url), len = strlen(other);
    if (*wrong || memcmp(url, other, front) != 0) abort();
    char *again = malloc(IDNA_URL_SIZE(len));
    if (!again || idna_url(other, len, again, wrong, sizeof wrong) || *wrong) abort();
    free(again);
  }
  if (memchr(wrong, 0, sizeof wrong) == NULL) abort();
  free(other);
  free(url);
  return 0;
}
