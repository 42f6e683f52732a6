#include "json/json_number.h"
#include "json/json_powers.h"
#include "json/json_scan.h"
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

/* The number of decimal digits of a value with three or more, up to 2^63. */
static inline int count_digits(uint64_t value) {
  int count = 3;
  for (uint64_t power = 1000; value >= power; power *= 10) count++;
  return count;
}

size_t json_number_put_integer(char *out, int64_t value) {
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
    out += count_digits(u);
    put_backwards(out, u);
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
  return (size_t)(p - out) + json_number_put_integer(p, point - 1);
}

static inline uint64_t high_half(uint64_t a, uint64_t b) {
  return (uint64_t)((unsigned __int128)a * b >> 64);
}

/* floor(log2(10^q)), for |q| up to 1233. */
static inline int log2_of_power(int q) { return q * 1741647 >> 19; }

/* floor(c * 10^q / 2^(127 - floor(log2 10^q))) / 2^64, with the last bit set if anything was lost
   ("round to odd"): comparisons with it come out as with the exact product. */
static uint64_t scale_to_odd(uint64_t high, uint64_t low, uint64_t c) {
  unsigned __int128 product = (unsigned __int128)high * c + high_half(low, c);
  return (uint64_t)(product >> 64) | ((uint64_t)product > 1);
}

/* The shortest decimal, digits * 10^exponent, that reads back as `value` (positive and finite), and
   of these the nearest: R. Giulietti, "The Schubfach way to render doubles". It compares the ends
   of the interval that rounds to `value`, scaled so that the digits wanted are integers. */
static uint64_t shortest_decimal(double value, int *exponent) {
  uint64_t bits, fraction;
  memcpy(&bits, &value, sizeof bits);
  fraction = bits & (MAX_EXACT_INTEGER / 2 - 1);
  int biased = (int)(bits >> 52 & 0x7FF);
  uint64_t c = biased ? fraction | MAX_EXACT_INTEGER / 2 : fraction;
  int q = (biased ? biased : 1) - 1075; /* value == c * 2^q */
  unsigned odd = c & 1;                 /* an even one owns the ends of its interval */
  bool lower_is_closer = fraction == 0 && biased > 1;

  int k = (q * 1262611 - (lower_is_closer ? 524031 : 0)) >> 22;
  int shift = q + log2_of_power(-k) + 1;
  uint64_t high = power_of_ten[-k - POWER_MIN].high, low = power_of_ten[-k - POWER_MIN].low;
  if (-k < -27 || -k > 55) high += ++low == 0; /* it wants powers rounded up */
  uint64_t lower = scale_to_odd(high, low, (4 * c - 2 + lower_is_closer) << shift) + odd;
  uint64_t middle = scale_to_odd(high, low, (4 * c) << shift);
  uint64_t upper = scale_to_odd(high, low, (4 * c + 2) << shift) - odd;

  uint64_t s = middle / 4;
  if (s >= 10) { /* one digit less, if just one of the two neighbours is inside */
    uint64_t t = s / 10;
    bool down = lower <= 40 * t, up = 40 * t + 40 <= upper;
    if (down != up) {
      *exponent = k + 1;
      return t + up;
    }
  }
  *exponent = k;
  bool down = lower <= 4 * s, up = 4 * s + 4 <= upper;
  if (down != up) return s + up;
  return s + (middle > 4 * s + 2 || (middle == 4 * s + 2 && (s & 1)));
}

size_t json_number_put_double(char *out, double value) {
  char *start = out;
  if (signbit(value)) {
    *out++ = '-';
    value = -value;
  }
  if (value == 0) {
    memcpy(out, "0.0", 3);
    return (size_t)(out + 3 - start);
  }
  int exponent = 0;
  bool whole = value < (double)MAX_EXACT_INTEGER && (double)(uint64_t)value == value;
  uint64_t decimal = whole ? (uint64_t)value : shortest_decimal(value, &exponent);
  char text[20], *end = text + sizeof text, *digits = put_backwards(end, decimal);
  while (end[-1] == '0') end--, exponent++;
  return (size_t)(out - start) + lay_out(out, digits, (int)(end - digits), exponent);
}

/* The double nearest to w * 10^q for w > 0: D. Lemire, "Number parsing at a gigabyte per second".
   False in the cases that its 128 bits do not decide. */
static bool nearest_double(uint64_t w, int q, double *value) {
  int zeros = __builtin_clzll(w);
  w <<= zeros;
  uint64_t high = power_of_ten[q - POWER_MIN].high, low = power_of_ten[q - POWER_MIN].low;
  unsigned __int128 product = (unsigned __int128)w * high;
  if (((uint64_t)(product >> 64) & 0x1FF) == 0x1FF) {
    product += high_half(w, low);
    if ((uint64_t)product == UINT64_MAX && (q < -27 || q > 55)) return false;
  }
  uint64_t top = (uint64_t)(product >> 64), rest = (uint64_t)product;
  int upper_bit = (int)(top >> 63);
  uint64_t m = top >> (upper_bit + 9); /* 54 bits: one more than fit */
  int biased = log2_of_power(q) + 63 + upper_bit - zeros + 1023;
  if (biased <= 0) { /* subnormal */
    if (biased < -62) {
      *value = 0;
      return true;
    }
    m >>= 1 - biased;
    m = (m + (m & 1)) >> 1;
    memcpy(value, &m, sizeof m); /* may carry into the exponent, and means it */
    return true;
  }
  /* Half-way between two doubles only where the power of five is small enough to be exact. */
  if (rest <= 1 && q >= -4 && q <= 23 && (m & 3) == 1 && m << (upper_bit + 9) == top)
    m &= ~UINT64_C(1);
  m = (m + (m & 1)) >> 1;
  if (m >= MAX_EXACT_INTEGER) {
    m >>= 1;
    biased++;
  }
  if (biased >= 2047) {
    *value = INFINITY;
    return true;
  }
  m = (m & (MAX_EXACT_INTEGER / 2 - 1)) | (uint64_t)biased << 52;
  memcpy(value, &m, sizeof m);
  return true;
}

bool json_number_from_decimal(uint64_t significand, int64_t exponent, double *value) {
  if (significand <= MAX_EXACT_INTEGER && exponent <= MAX_EXACT_POWER &&
      exponent >= -MAX_EXACT_POWER) { /* one correctly rounded operation on two exact numbers */
    double d = (double)significand;
    *value = exponent < 0 ? d / exact_powers[-exponent] : d * exact_powers[exponent];
    return true;
  }
  if (significand == 0 || exponent < POWER_MIN) {
    *value = 0;
    return true;
  }
  if (exponent > 308) {
    *value = INFINITY;
    return true;
  }
  return nearest_double(significand, (int)exponent, value);
}

bool json_number_from_digits(const char *text, const char *end, int64_t exponent, double *value) {
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

/* Reads the digits of a short number from the eight bytes that begin with them: its value and its
   end. False if there is no number, or it is longer. */
static inline bool read_word(const char *digits, int64_t *value, const char **number_end) {
  uint64_t w = word_load(digits), other = json_not_digit8(w);
  unsigned bits = other ? word_before(other) * 8 : 0; /* of digits */
  if (!bits || (*digits == '0' && bits > 8)) return false;
  /* Fills missing digits with zeros, then combines neighbours three times. */
  w = ((w << (64 - bits)) & UINT64_C(0x0F0F0F0F0F0F0F0F)) * (10 << 8 | 1) >> 8;
  w = (w & UINT64_C(0x00FF00FF00FF00FF)) * (100 << 16 | 1) >> 16;
  *value = (int64_t)((w & UINT64_C(0x0000FFFF0000FFFF)) * (UINT64_C(10000) << 32 | 1) >> 32);
  *number_end = digits + bits / 8;
  return true;
}

/* Reads an element of a list that is not too close to the end of the text. Returns the position
   after the following comma, or NULL. */
static inline const char *read_element(const char *p, int64_t *number) {
  bool negative = *p == '-';
  if (!read_word(p + negative, number, &p) || *p != ',') return NULL;
  if (negative) *number = -*number;
  return p[1] == ' ' ? p + 2 : p + 1;
}

enum { ELEMENT_ROOM = 1 + 8 + 2 }; /* bytes that read_element looks at */

size_t json_number_read_list(const char **at, const char *end, int64_t *numbers, size_t most,
                             bool *ended) {
  const char *p = *at, *next = p;
  size_t count = 0;
  *ended = false;
  if (end - p >= ELEMENT_ROOM)
    for (const char *last = end - ELEMENT_ROOM; count < most && p <= last; count++, p = next)
      if (!(next = read_element(p, &numbers[count]))) break;
  /* Elements near the end are read from a copy, with a comma instead of the bracket. */
  while (count < most && p < end && !*ended) {
    char copy[ELEMENT_ROOM + 1] = {0};
    size_t n = (size_t)(end - p);
    memcpy(copy, p, n < ELEMENT_ROOM ? n : ELEMENT_ROOM);
    char *bracket = memchr(copy, ']', ELEMENT_ROOM);
    if (bracket) *bracket = ',';
    next = read_element(copy, &numbers[count]);
    if (!next) break;
    *ended = bracket && next > bracket;
    p = *ended ? p + (bracket - copy) + 1 : p + (next - copy);
    count++;
  }
  *at = p;
  return count;
}
