#include "log/log_format.h"

#include <stdlib.h>

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

/* Not gmtime_r, which takes a lock. The Gregorian calendar in years that begin in March, in eras of
   400 of them. */
bool log_format_date(Buffer *out, int64_t time) {
  int64_t days;
  unsigned ms = split(time / NS_PER_MS, &days);
  days += 719468;
  int64_t era = days / 146097;
  unsigned day_of_era = (unsigned)(days - era * 146097);
  unsigned year_of_era =
      (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
  unsigned day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  unsigned from_march = (5 * day_of_year + 2) / 153;
  unsigned day = day_of_year - (153 * from_march + 2) / 5 + 1;
  unsigned month = from_march < 10 ? from_march + 3 : from_march - 9;
  unsigned year = (unsigned)(era * 400) + year_of_era + (month <= 2);
  return add_number(out, year, 4) && buffer_add_char(out, '-') && add_number(out, month, 2) &&
         buffer_add_char(out, '-') && add_number(out, day, 2) && buffer_add_char(out, 'T') &&
         add_clock(out, ms) && buffer_add_char(out, 'Z');
}

bool log_format_clock(Buffer *out, int64_t time, int offset) {
  int64_t days;
  return add_clock(out, split(time / NS_PER_MS + (int64_t)offset * 1000, &days));
}
