/* The Gregorian calendar, also before it was in use. By hand, since the C library's follows the
   zone of the process and takes a lock: this may be used in signal handlers. */
#ifndef ML_CALENDAR_H
#define ML_CALENDAR_H

#include <stdint.h>

/* Its cycle are 400 years. Here they begin on 1 March, so that a leap day is the last of its
   year. */
enum { CALENDAR_CYCLE = 146097 /* days */, CALENDAR_TO_1970 = 719468 /* from 0000-03-01 */ };

/* The date of a day, counted from 1970-01-01. */
static inline void calendar_date(int64_t days, int64_t *year, int *month, int *day) {
  days += CALENDAR_TO_1970;
  int64_t cycle = (days >= 0 ? days : days - CALENDAR_CYCLE + 1) / CALENDAR_CYCLE;
  int in_cycle = (int)(days - cycle * CALENDAR_CYCLE);
  int years = (in_cycle - in_cycle / 1460 + in_cycle / 36524 - in_cycle / 146096) / 365;
  int in_year = in_cycle - (365 * years + years / 4 - years / 100);
  int from_march = (5 * in_year + 2) / 153;
  *day = in_year - (153 * from_march + 2) / 5 + 1;
  *month = from_march < 10 ? from_march + 3 : from_march - 9;
  *year = years + cycle * 400 + (*month <= 2);
}

/* The day of a date, counted from 1970-01-01. */
static inline int64_t calendar_days(int64_t year, int month, int day) {
  year -= month <= 2;
  int64_t cycle = (year >= 0 ? year : year - 399) / 400;
  int years = (int)(year - cycle * 400);
  int in_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
  return cycle * CALENDAR_CYCLE + years * 365 + years / 4 - years / 100 + in_year -
         CALENDAR_TO_1970;
}

#endif
