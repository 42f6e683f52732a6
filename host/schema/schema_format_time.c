/* Dates, times and durations as text. */
#include "schema/schema_format.h"

#include "base/calendar.h"
#include <math.h>

#define MINUTES_OF_DAY 1440

typedef struct Moment {
  int year, month, day, hour, minute, second;
  double fraction;
  int zone; /* minutes east of UTC */
} Moment;

/* Reads `n` digits; false when there are others. */
static bool digits(const char **p, const char *end, int n, int *value) {
  int v = 0;
  for (int i = 0; i < n; i++, ++*p) {
    if (*p >= end || **p < '0' || **p > '9') return false;
    v = v * 10 + (**p - '0');
  }
  *value = v;
  return true;
}

static int days_of(int year, int month) {
  static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
  return days[month - 1] + (month == 2 && leap);
}

const char schema_format_no_zone[] = "it has no time zone";

static const char *read_date(const char **p, const char *end, Moment *m) {
  if (end - *p < 10) return "input is too short";
  if (!digits(p, end, 4, &m->year)) return "invalid character in year";
  if (*(*p)++ != '-') return "invalid date separator, expected `-`";
  if (!digits(p, end, 2, &m->month)) return "invalid character in month";
  if (*(*p)++ != '-') return "invalid date separator, expected `-`";
  if (!digits(p, end, 2, &m->day)) return "invalid character in day";
  if (m->month < 1 || m->month > 12) return "month value is outside expected range of 1-12";
  if (m->day < 1 || m->day > days_of(m->year, m->month))
    return "day value is outside expected range";
  return NULL;
}

static const char *read_zone(const char **p, const char *end, Moment *m) {
  if (*p >= end) return schema_format_no_zone;
  char c = *(*p)++;
  if (c == 'Z' || c == 'z') return NULL;
  if (c != '+' && c != '-') return "invalid timezone sign";
  int hour, minute;
  if (end - *p < 5) return "input is too short";
  if (!digits(p, end, 2, &hour) || *(*p)++ != ':' || !digits(p, end, 2, &minute))
    return "invalid timezone offset";
  if (hour > 23 || minute > 59) return "timezone offset must be less than 24 hours";
  m->zone = (hour * 60 + minute) * (c == '-' ? -1 : 1);
  return NULL;
}

static const char *read_time(const char **p, const char *end, Moment *m) {
  if (end - *p < 8) return "input is too short";
  if (!digits(p, end, 2, &m->hour)) return "invalid character in hour";
  if (*(*p)++ != ':') return "invalid time separator, expected `:`";
  if (!digits(p, end, 2, &m->minute)) return "invalid character in minute";
  if (*(*p)++ != ':') return "invalid time separator, expected `:`";
  if (!digits(p, end, 2, &m->second)) return "invalid character in second";
  if (m->hour > 23) return "hour value is outside expected range of 0-23";
  if (m->minute > 59) return "minute value is outside expected range of 0-59";
  if (m->second > 60) return "second value is outside expected range of 0-59";
  if (*p < end && **p == '.') {
    double scale = 0.1;
    const char *first = ++*p;
    for (; *p < end && **p >= '0' && **p <= '9'; ++*p, scale /= 10)
      m->fraction += (**p - '0') * scale;
    if (*p == first) return "second fraction value is missing";
  }
  const char *fault = read_zone(p, end, m);
  if (fault) return fault;
  if (m->second == 60) { /* a leap second is the last one of a day in UTC */
    int minutes = m->hour * 60 + m->minute - m->zone;
    if ((minutes % MINUTES_OF_DAY + MINUTES_OF_DAY) % MINUTES_OF_DAY != MINUTES_OF_DAY - 1)
      return "second value is outside expected range of 0-59";
  }
  return NULL;
}

static const char *read_moment(SchemaFormat format, const char *s, size_t size, Moment *m) {
  const char *p = s, *end = s + size, *fault = NULL;
  if (format != SCHEMA_FORMAT_TIME) fault = read_date(&p, end, m);
  if (!fault && format == SCHEMA_FORMAT_DATETIME) {
    if (p >= end) return "input is too short";
    if (*p != 'T' && *p != 't') return "invalid datetime separator, expected `T` or `t`";
    p++;
  }
  if (!fault && format != SCHEMA_FORMAT_DATE) fault = read_time(&p, end, m);
  if (!fault && p < end) fault = "unexpected extra characters at the end of the input";
  return fault;
}

const char *schema_format_time_fault(SchemaFormat format, const char *s, size_t size) {
  Moment m = {0};
  return read_moment(format, s, size, &m);
}

double schema_format_unix(const char *s, size_t size) {
  Moment m = {0};
  if (read_moment(SCHEMA_FORMAT_DATETIME, s, size, &m)) return NAN;
  int64_t days = calendar_days(m.year, m.month, m.day);
  int64_t minutes = days * MINUTES_OF_DAY + m.hour * 60 + m.minute - m.zone;
  return (double)(minutes * 60 + m.second) + m.fraction;
}

const char *schema_format_duration_fault(const char *s, size_t size) {
  const char *p = s, *end = s + size, *units = "YMD";
  if (p >= end || *p++ != 'P') return "a duration begins with P";
  bool in_time = false, any = false, last_any = false;
  while (p < end) {
    if (*p == 'T' && !in_time) {
      in_time = true, last_any = false, units = "HMS", p++;
      continue;
    }
    const char *first = p;
    while (p < end && *p >= '0' && *p <= '9') p++;
    if (p == first || p == end) return "invalid digit in duration";
    if (*p == 'W') return !any && !in_time && p + 1 == end ? NULL : "weeks stand alone";
    const char *unit = units;
    while (*unit && *unit != *p) unit++;
    if (!*unit) return "invalid or misplaced unit";
    /* RFC 3339: no unit may be left out between two others. */
    if (last_any && unit != units) return "a unit between two others is missing";
    units = unit + 1;
    any = last_any = true;
    p++;
  }
  if (!any || (in_time && !last_any)) return "a duration needs a number with a unit";
  return NULL;
}
