/* Feeds bytes to the readers of dates and of conditional requests: what is answered is allowed for
   the method, a date that is read is the same when it is written and read again, and a validator
   matches itself. The first byte says which headers are there and whether the method is safe; the
   rest are their values, a line each, and the resource's tag. */
#include "fuzz.h"
#include "http/http_conditional.h"
#include "http/http_date.h"

#include <stdlib.h>
#include <string.h>

enum { VALUES = 6, SAFE = 64, DATED = 128 };

static void check_date(const char *text, size_t n) {
  static const int64_t now = 1700000000;
  int64_t seconds, again;
  char written[HTTP_DATE_LEN + 1];
  if (!http_date_parse(text, n, now, &seconds)) return;
  http_date_format(seconds, written);
  check(strlen(written) == HTTP_DATE_LEN);
  check(http_date_parse(written, HTTP_DATE_LEN, now, &again) && again == seconds);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  HttpValue values[VALUES] = {{0}};
  char *copies[VALUES] = {0};
  if (!size) return 0;
  uint8_t flags = *data++;
  const uint8_t *end = data + --size;
  for (int i = 0; i < VALUES; i++) {
    const uint8_t *line_end = data < end ? memchr(data, '\n', (size_t)(end - data)) : NULL;
    size_t n = (size_t)((line_end ? line_end : end) - data);
    copies[i] = exact_copy(data, n);
    if (flags & 1 << i) values[i] = (HttpValue){copies[i], n};
    check_date(copies[i], n);
    data = line_end ? line_end + 1 : end;
  }
  HttpConditions given = {values[0], values[1], values[2], values[3], values[4]};
  HttpValidators is = {
      .etag = values[5], .modified = flags & DATED ? 784111777 : HTTP_NO_TIME, .now = 1700000000};
  int status = http_conditional_status(&given, &is, flags & SAFE);
  check(status == 0 || status == 412 || (status == 304 && flags & SAFE));
  bool range = http_conditional_range(&given, &is);
  if (!given.if_range.text) check(range);
  HttpConditions none = {0};
  check(http_conditional_status(&none, &is, true) == 0 && http_conditional_range(&none, &is));
  HttpConditions any = {.if_none_match = {"*", 1}};
  check(http_conditional_status(&any, &is, true) == 304);
  for (int i = 0; i < VALUES; i++) free(copies[i]);
  return 0;
}
