#include "log/log_format.h"

#include "base/calendar.h"

#define NS_PER_MS 1000000
#define MS_PER_DAY 86400000

static bool add_number(Buffer *out, unsigned value, int digits) {
  char text[8];
  for (int i = digits; i > 0; i--, value /= 10) text[i - 1] = (char)('0' + value % 10);
  return buffer_add(out, text, (size_t)digits);
}

static bool add_clock(Buffer *out, unsigned ms) {
  return add_number(out, ms / 3600000, 2) && buffer_add_char(out, ':') &&
         add_number(out, ms / 60000 % 60, 2) && buffer_add_char(out, ':') &&
         add_number(out, ms / 1000 % 60, 2) && buffer_add_char(out, '.') &&
         add_number(out, ms % 1000, 3);
}

/* Milliseconds since 1970 into whole days and the rest. */
static unsigned split(int64_t ms, int64_t *days) {
  *days = ms / MS_PER_DAY - (ms % MS_PER_DAY < 0);
  return (unsigned)(ms - *days * MS_PER_DAY);
}

bool log_format_date(Buffer *out, int64_t time) {
  int64_t days, year;
  int month, day;
  unsigned ms = split(time / NS_PER_MS, &days);
  calendar_date(days, &year, &month, &day);
  return add_number(out, (unsigned)year, 4) && buffer_add_char(out, '-') &&
         add_number(out, (unsigned)month, 2) && buffer_add_char(out, '-') &&
         add_number(out, (unsigned)day, 2) && buffer_add_char(out, 'T') && add_clock(out, ms) &&
         buffer_add_char(out, 'Z');
}

bool log_format_clock(Buffer *out, int64_t time, int offset) {
  int64_t days;
  return add_clock(out, split(time / NS_PER_MS + (int64_t)offset * 1000, &days));
}
