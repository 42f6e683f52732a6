/* Feeds bytes to the reader of headers with parameters: what comes out lies inside of what went in,
   in order, and a value without its quotes is no longer than with them. */
#include "fuzz.h"
#include "http/header_params.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static void check_value(const HeaderParam *param) {
  char *out = malloc(param->value_len ? param->value_len : 1);
  check(out);
  size_t n = header_params_unquote(param, out);
  check(n <= param->value_len);
  if (!param->quoted) check(n == param->value_len && !memcmp(out, param->value, n));
  free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char *text = exact_copy(data, size);
  const char *at = text, *end = text + size, *word;
  size_t left = size, n;
  header_params_begin(&at, &left, &word, &n);
  check(!n || (word >= text && word + n <= end && !memchr(word, ';', n)));
  HeaderParam param;
  int found;
  while ((found = header_params_next(&at, &left, &param)) == 1) {
    check(at + left == end && param.name_len && param.name >= text);
    check(param.name + param.name_len < param.value && param.value + param.value_len <= at);
    check(!memchr(param.name, '=', param.name_len) && !memchr(param.name, ' ', param.name_len));
    check_value(&param);
  }
  if (!found) check(!left);
  free(text);
  return 0;
}
