/* What the fuzzers in C share. */
#ifndef ML_FUZZ_H
#define ML_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* The fuzzer: takes an input, and aborts where something is wrong. Returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline void check(bool ok) {
  if (!ok) abort();
}

/* A copy of this very size, so that reading past its end is seen; to be freed. */
static inline char *exact_copy(const void *data, size_t size) {
  char *copy = malloc(size ? size : 1);
  check(copy != NULL);
  if (size) memcpy(copy, data, size);
  return copy;
}

#endif
