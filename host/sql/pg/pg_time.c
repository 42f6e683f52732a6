#include "sql/pg/pg_time.h"

#include "base/calendar.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

#define SECOND 1000000
#define DAY ((int64_t)86400 * SECOND)
#define EPOCH ((int64_t)946684800 * SECOND) /* 2000-01-01, of 1970's */
#define DAYS_TO_2000 10957

double pg_time_seconds(int64_t micros) {
  if (micros == INT64_MAX) return HUGE_VAL;
  if (micros == INT64_MIN) return -HUGE_VAL;
  if (micros > INT64_MAX - EPOCH) return (double)micros / SECOND + 946684800.0;
  return (double)(micros + EPOCH) / SECOND; /* one rounding: the nearest to the decimal */
}

bool pg_time_micros(double seconds, int64_t *micros) {
  if (isinf(seconds)) {
    *micros = seconds > 0 ? INT64_MAX : INT64_MIN;
    return true;
  }
  if (!(fabs(seconds) < 9e12)) return false;
  double whole = floor(seconds);
  *micros = ((int64_t)whole - 946684800) * SECOND + llround((seconds - whole) * SECOND);
  return true;
}

size_t pg_time_write(char text[PG_TIME_SIZE], int64_t micros) {
  if (micros == INT64_MAX) return (size_t)snprintf(text, PG_TIME_SIZE, "infinity");
  if (micros == INT64_MIN) return (size_t)snprintf(text, PG_TIME_SIZE, "-infinity");
  int64_t days = micros / DAY, rest = micros % DAY, year;
  if (rest < 0) {
    days--;
    rest += DAY;
  }
  int month, day;
  calendar_date(days + DAYS_TO_2000, &year, &month, &day);
  int seconds = (int)(rest / SECOND), fraction = (int)(rest % SECOND);
  int n = snprintf(text, PG_TIME_SIZE, "%04lld-%02d-%02dT%02d:%02d:%02d", (long long)year, month,
                   day, seconds / 3600, seconds / 60 % 60, seconds % 60);
  if (fraction) {
    n += snprintf(text + n, PG_TIME_SIZE - (size_t)n, ".%06d", fraction);
    while (text[n - 1] == '0') n--;
  }
  text[n++] = 'Z';
  text[n] = 0;
  return (size_t)n;
}

bool pg_time_read(const char *bytes, size_t len, int64_t *micros) {
  char text[PG_TIME_SIZE];
  if (len >= sizeof text) return false;
  memcpy(text, bytes, len);
  text[len] = 0;
  if (!strcmp(text, "infinity") || !strcmp(text, "-infinity")) {
    *micros = *text == '-' ? INT64_MIN : INT64_MAX;
    return true;
  }
  long long year;
  int month, day, hour, minute, second, n = 0;
  if (sscanf(text, "%lld-%2d-%2d %2d:%2d:%2d%n", &year, &month, &day, &hour, &minute, &second,
             &n) != 6 ||
      year < 0 || year > 300000)
    return false;
  const char *at = text + n;
  int64_t fraction = 0;
  if (*at == '.') {
    int64_t unit = SECOND / 10;
    for (at++; *at >= '0' && *at <= '9'; at++, unit /= 10) fraction += (*at - '0') * unit;
  }
  int64_t offset = 0;
  if (*at == '+' || *at == '-') {
    int parts[3] = {0}, used = 0, sign = *at == '-' ? -1 : 1;
    sscanf(at + 1, "%2d%n:%2d%n:%2d%n", &parts[0], &used, &parts[1], &used, &parts[2], &used);
    offset = sign * (parts[0] * 3600 + parts[1] * 60 + parts[2]);
    at += 1 + used;
  }
  if (!strcmp(at, " BC"))
    year = 1 - year;
  else if (*at)
    return false;
  int64_t days = calendar_days(year, month, day) - DAYS_TO_2000;
  *micros = (days * 86400 + hour * 3600 + minute * 60 + second - offset) * SECOND + fraction;
  return true;
}
