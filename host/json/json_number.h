/* Numbers to text and back, exactly and independent of the locale. */
#ifndef ML_JSON_NUMBER_H
#define ML_JSON_NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The longest text of either kind fits, with room to spare. */
#define NUMBER_TEXT_MAX 32

/* Writes a 64-bit integer in decimal; returns its length. */
size_t json_number_put_integer(char *out, int64_t value);

/* Writes the shortest text that reads back as this very finite double. There is always a point or
   an exponent in it ("1.0", "1e300"), so that it reads back as a float. Returns its length. */
size_t json_number_put_double(char *out, double value);

/* The double nearest to significand * 10^exponent (ties to even), if that can be computed quickly.
   False: use json_number_from_digits. */
bool json_number_from_decimal(uint64_t significand, int64_t exponent, double *value);

/* The same for any decimal: `text` starts with digits and possibly a point; it ends at the first
   other character or at `end`. The value is the digits (without the point) * 10^exponent. Infinite
   when too large. False when memory is out. */
bool json_number_from_digits(const char *text, const char *end, int64_t exponent, double *value);

/* Reads a list from its first element, *at, on: integers of up to seven digits, each with a comma
   right behind it and perhaps a space, and the last with a bracket. Returns how many there are, of
   at most `most`, in `numbers`; `*at` is behind the bracket then, and `*ended` true, or behind what
   has been read: the next element is of another kind, or too much, or wrong. */
size_t json_number_read_list(const char **at, const char *end, int64_t *numbers, size_t most,
                             bool *ended);

#endif
