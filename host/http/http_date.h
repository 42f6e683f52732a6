/* Dates of HTTP (RFC 9110 section 5.6.7). Seconds are those since 1970 in UTC. */
#ifndef ML_HTTP_DATE_H
#define ML_HTTP_DATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HTTP_DATE_LEN = 29 }; /* "Mon, 23 Nov 2026 06:12:16 GMT" */

/* Writes the date as it is sent, and a NUL. Years are clamped to 0 to 9999. */
void http_date_format(int64_t seconds, char text[HTTP_DATE_LEN + 1]);

/* Reads one of the three forms that a recipient has to know: as above, that of RFC 850 ("Monday,
   23-Nov-26 06:12:16 GMT", where a year more than 50 years after `now` is in the past), and that of
   asctime ("Mon Nov 23 06:12:16 2026"). The day of the week is not compared with the date. False
   for anything else, including days that do not exist. */
bool http_date_parse(const char *text, size_t n, int64_t now, int64_t *seconds);

#endif
