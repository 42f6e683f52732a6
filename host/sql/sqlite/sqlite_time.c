#include "sql/sqlite/sqlite_time.h"

#include "base/calendar.h"
#include <math.h>
#include <stdint.h>
#include <stdio.h>

typedef struct Reader {
  const char *at, *end;
} Reader;

/* A number of exactly `digits`. */
static bool read_number(Reader *r, int digits, int *value) {
  *value = 0;
  for (int i = 0; i < digits; i++, r->at++) {
    if (r->at == r->end || *r->at < '0' || *r->at > '9') return false;
    *value = *value * 10 + (*r->at - '0');
  }
  return true;
}

static bool skip(Reader *r, char c) {
  if (r->at == r->end || *r->at != c) return false;
  r->at++;
  return true;
}

static bool read_fraction(Reader *r, double *fraction) {
  *fraction = 0;
  if (!skip(r, '.')) return true;
  double unit = 1;
  double value = 0;
  const char *start = r->at;
  for (; r->at < r->end && *r->at >= '0' && *r->at <= '9'; r->at++) {
    if (r->at - start >= 9) continue;
    value = value * 10 + (*r->at - '0');
    unit *= 10;
  }
  *fraction = value / unit;
  return r->at > start;
}

static bool read_clock(Reader *r, int *seconds, double *fraction) {
  int hour, minute, second = 0;
  *fraction = 0;
  if (!read_number(r, 2, &hour) || !skip(r, ':') || !read_number(r, 2, &minute)) return false;
  if (skip(r, ':') && (!read_number(r, 2, &second) || !read_fraction(r, fraction))) return false;
  *seconds = hour * 3600 + minute * 60 + second;
  return hour < 24 && minute < 60 && second < 61;
}

static bool read_zone(Reader *r, int *offset) {
  *offset = 0;
  while (skip(r, ' ')) continue;
  if (r->at == r->end || skip(r, 'Z') || skip(r, 'z')) return r->at == r->end;
  int sign = *r->at == '-' ? -1 : 1, hours, minutes = 0;
  if (!skip(r, '+') && !skip(r, '-')) return false;
  if (!read_number(r, 2, &hours)) return false;
  if (r->at < r->end && (skip(r, ':'), !read_number(r, 2, &minutes))) return false;
  *offset = sign * (hours * 3600 + minutes * 60);
  return r->at == r->end && hours < 24 && minutes < 60;
}

bool sqlite_time_parse(const char *text, size_t len, double *seconds) {
  Reader r = {text, text + len};
  int year, month, day, clock = 0, offset = 0;
  double fraction = 0;
  if (!read_number(&r, 4, &year) || !skip(&r, '-') || !read_number(&r, 2, &month) ||
      !skip(&r, '-') || !read_number(&r, 2, &day) || month < 1 || month > 12 || day < 1 || day > 31)
    return false;
  if (r.at < r.end) {
    if (!skip(&r, 'T') && !skip(&r, 't') && !skip(&r, ' ')) return false;
    if (!read_clock(&r, &clock, &fraction) || !read_zone(&r, &offset)) return false;
  }
  *seconds = (double)(calendar_days(year, month, day) * 86400 + clock - offset) + fraction;
  return true;
}

bool sqlite_time_format(double seconds, char text[SQLITE_TIME_SIZE]) {
  if (!(seconds >= -62167219200.0 && seconds < 253402300800.0)) return false;
  double whole = floor(seconds);
  int micro = (int)lround((seconds - whole) * 1e6);
  int64_t all = (int64_t)whole;
  if (micro == 1000000) {
    micro = 0;
    all++;
  }
  int64_t days = (all >= 0 ? all : all - 86399) / 86400, clock = all - days * 86400;
  int64_t year;
  int month, day;
  calendar_date(days, &year, &month, &day);
  int n = snprintf(text, SQLITE_TIME_SIZE, "%04d-%02d-%02dT%02d:%02d:%02d", (int)year, month, day,
                   (int)(clock / 3600), (int)(clock / 60 % 60), (int)(clock % 60));
  if (micro) {
    n += snprintf(text + n, (size_t)(SQLITE_TIME_SIZE - n), ".%06d", micro);
    while (text[n - 1] == '0') n--;
  }
  snprintf(text + n, (size_t)(SQLITE_TIME_SIZE - n), "Z");
  return true;
}
