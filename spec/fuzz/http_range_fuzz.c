/* What a client may ask of a file: ranges, conditions with their entity tags and dates, codings.
   The first byte chooses the size of the file. */
#include "fuzz.h"
#include "http/http_conditional.h"
#include "http/http_date.h"
#include "http/http_range.h"
#include "http/server/http_accept.h"

#include <stdlib.h>
#include <string.h>

static void check_ranges(const char *text, size_t n, uint64_t size) {
  HttpRange ranges[HTTP_MAX_RANGES];
  size_t count = 0;
  if (http_range_parse(text, n, size, ranges, &count) != RANGE_PARTIAL) return;
  if (count < 1 || count > HTTP_MAX_RANGES) abort();
  for (size_t i = 0; i < count; i++) {
    if (ranges[i].first > ranges[i].last || ranges[i].last >= size) abort();
    for (size_t k = 0; k < i; k++) /* no byte twice */
      if (ranges[k].first <= ranges[i].last && ranges[i].first <= ranges[k].last) abort();
  }
}

/* A date that is understood is written so that it is understood alike. */
static void check_date(const char *text, size_t n) {
  int64_t now = 1795413136, seconds, again;
  char written[HTTP_DATE_LEN + 1];
  if (!http_date_parse(text, n, now, &seconds)) return;
  http_date_format(seconds, written);
  if (!http_date_parse(written, HTTP_DATE_LEN, now, &again)) abort();
  if (seconds != again && seconds != again + 1) abort(); /* the last leap second of 9999 */
}

static void check_conditions(const char *text, size_t n) {
  HttpValue value = {text, n};
  HttpValidators is = {.etag = {"\"a-1\"", 5}, .modified = 784111777, .now = 1795413136};
  HttpConditions match = {.if_match = value}, none = {.if_none_match = value};
  HttpConditions modified = {.if_modified_since = value},
                 unmodified = {.if_unmodified_since = value};
  HttpConditions range = {.if_range = value};
  int status = http_conditional_status(&match, &is, true);
  if (status != 0 && status != 412) abort();
  status = http_conditional_status(&none, &is, true);
  if (status != 0 && status != 304) abort();
  if (http_conditional_status(&modified, &is, false)) abort();
  http_conditional_status(&modified, &is, true);
  http_conditional_status(&unmodified, &is, true);
  http_conditional_range(&range, &is);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (!size) return 0;
  size_t n = size - 1;
  char *text = exact_copy(data + 1, n);
  check_ranges(text, n, data[0] < 200 ? data[0] : (uint64_t)1 << (data[0] - 192));
  check_date(text, n);
  check_conditions(text, n);
  ContentCoding coding = CODING_DEFLATE;
  if (http_accept_coding(text, n, &coding) != (coding != CODING_DEFLATE)) abort();
  free(text);
  return 0;
}
