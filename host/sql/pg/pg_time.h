/* timestamptz: microseconds since 2000, seconds since 1970, and text. */
#ifndef ML_PG_TIME_H
#define ML_PG_TIME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PG_TIME_SIZE 48

/* Seconds since 1970; infinite for INT64_MIN and INT64_MAX. */
double pg_time_seconds(int64_t micros);

/* The other way. False where it is out of range. */
bool pg_time_micros(double seconds, int64_t *micros);

/* "2024-01-01T00:00:00.5Z", "infinity". Returns its length. */
size_t pg_time_write(char text[PG_TIME_SIZE], int64_t micros);

/* Reads "2024-01-01 00:00:00.5+01", as servers write it with DateStyle ISO. */
bool pg_time_read(const char *text, size_t len, int64_t *micros);

#endif
