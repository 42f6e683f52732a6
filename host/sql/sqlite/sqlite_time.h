/* Points in time as SQLite keeps them: numbers, or text. */
#ifndef ML_SQLITE_TIME_H
#define ML_SQLITE_TIME_H

#include <stdbool.h>
#include <stddef.h>

/* Unix seconds of "2024-05-06 07:08:09.5", with a `T`, without a time, with `Z` or an offset; UTC
   where it says nothing. False: the text is something else. */
bool sqlite_time_parse(const char *text, size_t len, double *seconds);

enum { SQLITE_TIME_SIZE = 48 };

/* Writes RFC 3339 in UTC. False: the year is none of 0 to 9999. */
bool sqlite_time_format(double seconds, char text[SQLITE_TIME_SIZE]);

#endif
