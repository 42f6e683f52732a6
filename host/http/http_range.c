#include "http/http_range.h"

#include <string.h>
#include <strings.h>

/* The rest of the input. */
typedef struct Input {
  const char *at, *end;
} Input;

static void skip_blanks(Input *in) {
  while (in->at < in->end && (*in->at == ' ' || *in->at == '\t')) in->at++;
}

static bool is_digit(const Input *in) {
  return in->at < in->end && *in->at >= '0' && *in->at <= '9';
}

/* Digits, at least one; a number beyond 64 bits becomes the largest. */
static bool read_position(Input *in, uint64_t *value) {
  if (!is_digit(in)) return false;
  for (*value = 0; is_digit(in); in->at++) {
    unsigned digit = (unsigned)(*in->at - '0');
    *value = *value > (UINT64_MAX - digit) / 10 ? UINT64_MAX : *value * 10 + digit;
  }
  return true;
}

static bool read_char(Input *in, char c) {
  if (in->at == in->end || *in->at != c) return false;
  in->at++;
  return true;
}

typedef enum SpecResult { SPEC_MALFORMED, SPEC_UNSATISFIABLE, SPEC_RANGE } SpecResult;

/* "500-999", "500-", "-500" */
static SpecResult read_spec(Input *in, uint64_t size, HttpRange *range) {
  uint64_t first, last = UINT64_MAX;
  if (read_char(in, '-')) {
    uint64_t suffix;
    if (!read_position(in, &suffix)) return SPEC_MALFORMED;
    if (suffix == 0) return SPEC_UNSATISFIABLE;
    first = suffix < size ? size - suffix : 0;
  } else {
    if (!read_position(in, &first) || !read_char(in, '-')) return SPEC_MALFORMED;
    if (is_digit(in)) read_position(in, &last);
    if (last < first) return SPEC_MALFORMED;
  }
  if (first >= size) return SPEC_UNSATISFIABLE;
  *range = (HttpRange){first, last < size ? last : size - 1};
  return SPEC_RANGE;
}

/* Does the sender treat them as one? */
static bool are_near(const HttpRange *a, const HttpRange *b) {
  const HttpRange *left = a->first <= b->first ? a : b, *right = left == a ? b : a;
  return right->first <= left->last || right->first - left->last <= HTTP_RANGE_GAP;
}

/* Adds the range, merged with those that it touches, at the position of the first of them. */
static void add_range(HttpRange *ranges, size_t *count, HttpRange added) {
  size_t place = *count;
  for (size_t i = 0; i < *count;) {
    if (!are_near(&ranges[i], &added)) {
      i++;
      continue;
    }
    if (ranges[i].first < added.first) added.first = ranges[i].first;
    if (ranges[i].last > added.last) added.last = ranges[i].last;
    memmove(ranges + i, ranges + i + 1, (--*count - i) * sizeof *ranges);
    if (i < place) place = i;
    i = 0; /* it has grown, and may touch more ranges now */
  }
  memmove(ranges + place + 1, ranges + place, (*count - place) * sizeof *ranges);
  ranges[place] = added;
  ++*count;
}

HttpRangeResult http_range_parse(const char *text, size_t n, uint64_t size,
                                 HttpRange ranges[HTTP_MAX_RANGES], size_t *count) {
  static const char unit[] = "bytes=";
  if (n < sizeof unit - 1 || strncasecmp(text, unit, sizeof unit - 1) != 0) return RANGE_IGNORED;
  Input in = {text + sizeof unit - 1, text + n};
  int specs = 0;
  *count = 0;
  for (;;) {
    skip_blanks(&in);
    if (in.at < in.end && *in.at != ',') { /* a list may have empty elements */
      HttpRange range;
      SpecResult result = read_spec(&in, size, &range);
      if (result == SPEC_MALFORMED || ++specs > HTTP_MAX_RANGES) return RANGE_IGNORED;
      if (result == SPEC_RANGE) add_range(ranges, count, range);
      skip_blanks(&in);
    }
    if (in.at == in.end) break;
    if (!read_char(&in, ',')) return RANGE_IGNORED;
  }
  if (!specs || !size)
    return RANGE_IGNORED; /* some clients ask for ranges of everything they fetch */
  return *count ? RANGE_PARTIAL : RANGE_UNSATISFIABLE;
}
