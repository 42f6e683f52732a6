#include "json_number.h"
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char digit_pairs[] = "00010203040506070809101112131415161718192021222324"
                                  "25262728293031323334353637383940414243444546474849"
                                  "50515253545556575859606162636465666768697071727374"
                                  "75767778798081828384858687888990919293949596979899";

/* Writes `value` so that it ends before `end`; returns its start. */
static char *put_backwards(char *end, uint64_t value) {
  while (value >= 100) {
    end -= 2;
    memcpy(end, digit_pairs + value % 100 * 2, 2);
    value /= 100;
  }
  if (value >= 10) {
    end -= 2;
    memcpy(end, digit_pairs + value * 2, 2);
  } else {
    *--end = (char)('0' + value);
  }
  return end;
}

size_t number_put_integer(char *out, int64_t value) {
  char *start = out;
  uint64_t u = (uint64_t)value;
  if (value < 0) {
    *out++ = '-';
    u = 0 - u;
  }
  if (u < 10) {
    *out++ = (char)('0' + u);
  } else if (u < 100) {
    memcpy(out, digit_pairs + u * 2, 2);
    out += 2;
  } else {
    char text[20], *end = text + sizeof text, *p = put_backwards(end, u);
    memcpy(out, p, (size_t)(end - p));
    out += end - p;
  }
  return (size_t)(out - start);
}

/* All powers of ten that a double holds exactly. */
static const double exact_powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                      1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                      1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
#define MAX_EXACT_POWER 22
#define MAX_EXACT_INTEGER (UINT64_C(1) << 53)

/* Lays out the decimal digits * 10^exponent (digits: no zero at either end, "0" for zero). */
static size_t lay_out(char *out, const char *digits, int count, int exponent) {
  char *p = out;
  int point = count + exponent; /* digits before the decimal point */
  if (exponent >= 0 && point <= 17) {
    memcpy(p, digits, (size_t)count);
    memset(p + count, '0', (size_t)exponent);
    p += point;
    memcpy(p, ".0", 2);
    return (size_t)(p + 2 - out);
  }
  if (point > 0 && exponent < 0) {
    memcpy(p, digits, (size_t)point);
    p[point] = '.';
    memcpy(p + point + 1, digits + point, (size_t)(count - point));
    return (size_t)count + 1;
  }
  if (point > -5 && exponent < 0) {
    memcpy(p, "0.", 2);
    memset(p + 2, '0', (size_t)-point);
    p += 2 - point;
    memcpy(p, digits, (size_t)count);
    return (size_t)(p + count - out);
  }
  *p++ = digits[0];
  if (count > 1) {
    *p++ = '.';
    memcpy(p, digits + 1, (size_t)count - 1);
    p += count - 1;
  }
  *p++ = 'e';
  return (size_t)(p - out) + number_put_integer(p, point - 1);
}

/* Finds m and the smallest k with value == m / 10^k, for m of at most 15 digits. Two decimals of up
   to 15 digits never share a double, so this decimal is the shortest one; and the division is
   correctly rounded, since both sides are exact. */
static bool short_decimal(double value, uint64_t *m, int *k) {
  if (!(value < 1e15) || value < 1e-7) return false;
  for (int i = 0; i <= MAX_EXACT_POWER; i++) {
    double scaled = value * exact_powers[i];
    if (scaled >= 1e15) return false;
    uint64_t whole = (uint64_t)(scaled + 0.5);
    if ((double)whole / exact_powers[i] == value) {
      *m = whole;
      *k = i;
      return true;
    }
  }
  return false;
}

size_t number_put_double(char *out, double value) {
  char *start = out;
  if (signbit(value)) {
    *out++ = '-';
    value = -value;
  }
  char text[40], digits[24];
  uint64_t m;
  int k, count = 0, exponent;
  if (value == 0) {
    memcpy(out, "0.0", 3);
    return (size_t)(out + 3 - start);
  }
  if (short_decimal(value, &m, &k)) {
    char *end = digits + sizeof digits, *p = put_backwards(end, m);
    count = (int)(end - p);
    memmove(digits, p, (size_t)count);
    exponent = -k;
  } else {
    /* Subnormals have fewer digits than others, hence all precisions for them. */
    for (int precision = value < DBL_MIN ? 0 : 14; precision <= 16; precision++) {
      snprintf(text, sizeof text, "%.*e", precision, value);
      count = 0;
      const char *p = text;
      for (; *p && *p != 'e'; p++)
        if (*p >= '0' && *p <= '9') digits[count++] = *p;
      exponent = atoi(p + 1) - (count - 1);
      /* Without a point the text means the same in every locale. */
      snprintf(text, sizeof text, "%.*se%d", count, digits, exponent);
      if (strtod(text, NULL) == value) break;
    }
  }
  while (count > 1 && digits[count - 1] == '0') count--, exponent++;
  return (size_t)(out - start) + lay_out(out, digits, count, exponent);
}

bool number_from_decimal(uint64_t significand, int64_t exponent, double *value) {
  if (significand > MAX_EXACT_INTEGER || exponent > MAX_EXACT_POWER || exponent < -MAX_EXACT_POWER)
    return false;
  double d = (double)significand;
  *value = exponent < 0 ? d / exact_powers[-exponent] : d * exact_powers[exponent];
  return true;
}

bool number_from_digits(const char *text, const char *end, int64_t exponent, double *value) {
  char small[128], *copy = small;
  size_t room = (size_t)(end - text) + 24;
  if (room > sizeof small && !(copy = malloc(room))) return false;
  char *p = copy;
  for (; text < end && (*text == '.' || (*text >= '0' && *text <= '9')); text++)
    if (*text != '.') *p++ = *text;
  snprintf(p, 24, "e%" PRId64, exponent);
  *value = strtod(copy, NULL); /* no point in it: the locale has no say */
  if (copy != small) free(copy);
  return true;
}
