#include "http/http_date.h"

#include "base/calendar.h"
#include <string.h>

static const char days[] = "SunMonTueWedThuFriSat";
static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

enum { DAY = 24 * 60 * 60 };

static int days_in(int year, int month) {
  static const char lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
  return lengths[month - 1] + (month == 2 && leap);
}

/* --- writing --- */

static char *put_number(char *to, int value, int digits) {
  for (int i = digits - 1; i >= 0; i--, value /= 10) to[i] = (char)('0' + value % 10);
  return to + digits;
}

static char *put_text(char *to, const char *text, size_t n) {
  memcpy(to, text, n);
  return to + n;
}

void http_date_format(int64_t seconds, char text[HTTP_DATE_LEN + 1]) {
  int64_t first = calendar_days(0, 1, 1) * DAY, last = calendar_days(10000, 1, 1) * DAY - 1;
  if (seconds < first) seconds = first;
  if (seconds > last) seconds = last;
  int64_t all = seconds / DAY, rest = seconds % DAY;
  if (rest < 0) {
    rest += DAY;
    all--;
  }
  int64_t year;
  int month, day, weekday = (int)((all % 7 + 11) % 7); /* the first day was a Thursday */
  calendar_date(all, &year, &month, &day);
  char *to = put_text(text, days + 3 * (size_t)weekday, 3);
  to = put_text(to, ", ", 2);
  to = put_number(to, day, 2);
  to = put_text(to, " ", 1);
  to = put_text(to, months + 3 * (size_t)(month - 1), 3);
  to = put_text(to, " ", 1);
  to = put_number(to, (int)year, 4);
  to = put_text(to, " ", 1);
  to = put_number(to, (int)(rest / 3600), 2);
  to = put_text(to, ":", 1);
  to = put_number(to, (int)(rest / 60 % 60), 2);
  to = put_text(to, ":", 1);
  to = put_number(to, (int)(rest % 60), 2);
  put_text(to, " GMT", 5);
}

/* --- reading --- */

/* The rest of the input. Once something did not match, nothing does. */
typedef struct Input {
  const char *at, *end;
  bool failed;
} Input;

static void read_text(Input *in, const char *text) {
  size_t n = strlen(text);
  if ((size_t)(in->end - in->at) < n || memcmp(in->at, text, n) != 0)
    in->failed = true;
  else
    in->at += n;
}

static int read_number(Input *in, int digits) {
  int value = 0;
  if (in->end - in->at < digits) in->failed = true;
  for (int i = 0; i < digits && !in->failed; i++, in->at++) {
    if (*in->at < '0' || *in->at > '9') in->failed = true;
    value = value * 10 + (*in->at - '0');
  }
  return value;
}

/* The number of one of the three-letter names, from 0. */
static int read_name(Input *in, const char *names) {
  if (in->end - in->at < 3) {
    in->failed = true;
    return 0;
  }
  for (int i = 0; names[3 * i]; i++)
    if (!memcmp(in->at, names + 3 * i, 3)) {
      in->at += 3;
      return i;
    }
  in->failed = true;
  return 0;
}

typedef struct Moment {
  int year, month, day, hour, minute, second;
} Moment;

static void read_time(Input *in, Moment *m) {
  m->hour = read_number(in, 2);
  read_text(in, ":");
  m->minute = read_number(in, 2);
  read_text(in, ":");
  m->second = read_number(in, 2);
}

/* "23 Nov 2026 06:12:16 GMT" */
static void read_fixdate(Input *in, Moment *m) {
  m->day = read_number(in, 2);
  read_text(in, " ");
  m->month = read_name(in, months) + 1;
  read_text(in, " ");
  m->year = read_number(in, 4);
  read_text(in, " ");
  read_time(in, m);
  read_text(in, " GMT");
}

/* "23-Nov-26 06:12:16 GMT" */
static void read_rfc850(Input *in, Moment *m, int64_t now) {
  int64_t this_year;
  int month, day;
  calendar_date(now / DAY, &this_year, &month, &day);
  m->day = read_number(in, 2);
  read_text(in, "-");
  m->month = read_name(in, months) + 1;
  read_text(in, "-");
  m->year = read_number(in, 2) + (int)this_year / 100 * 100;
  if (m->year > this_year + 50) m->year -= 100;
  read_text(in, " ");
  read_time(in, m);
  read_text(in, " GMT");
}

/* "Nov 23 06:12:16 2026", "Nov  3 06:12:16 2026" */
static void read_asctime(Input *in, Moment *m) {
  m->month = read_name(in, months) + 1;
  read_text(in, " ");
  if (in->at < in->end && *in->at == ' ') {
    in->at++;
    m->day = read_number(in, 1);
  } else {
    m->day = read_number(in, 2);
  }
  read_text(in, " ");
  read_time(in, m);
  read_text(in, " ");
  m->year = read_number(in, 4);
}

/* The rest of a day's name that has been read to its third letter. */
static const char *rest_of_day(int day) {
  static const char *const rests[] = {"day", "day", "sday", "nesday", "rsday", "day", "urday"};
  return rests[day];
}

bool http_date_parse(const char *text, size_t n, int64_t now, int64_t *seconds) {
  Input in = {text, text + n, false};
  Moment m = {0};
  int day = read_name(&in, days);
  if (in.failed || in.at == in.end) return false;
  if (*in.at == ',') {
    read_text(&in, ", ");
    read_fixdate(&in, &m);
  } else if (*in.at == ' ') {
    read_text(&in, " ");
    read_asctime(&in, &m);
  } else {
    read_text(&in, rest_of_day(day));
    read_text(&in, ", ");
    read_rfc850(&in, &m, now);
  }
  if (in.failed || in.at != in.end) return false;
  if (m.day < 1 || m.day > days_in(m.year, m.month) || m.hour > 23 || m.minute > 59 ||
      m.second > 60) /* 60: a leap second */
    return false;
  *seconds = calendar_days(m.year, m.month, m.day) * DAY + m.hour * 3600 + m.minute * 60 + m.second;
  return true;
}
