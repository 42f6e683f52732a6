#include "base/nearest.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define LONGEST 40 /* bytes: longer names are not typing errors */

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

static int folded(char c) { return c == '-' ? '_' : tolower((unsigned char)c); }

/* How many slips turn `b` into `a`: the distance of Damerau and Levenshtein, with swaps of
   neighbours. */
static size_t distance(const char *a, size_t a_len, const char *b, size_t b_len) {
  size_t rows[3][LONGEST + 1], *before = rows[0], *last = rows[1], *now = rows[2];
  for (size_t j = 0; j <= b_len; j++) last[j] = j;
  for (size_t i = 1; i <= a_len; i++) {
    now[0] = i;
    for (size_t j = 1; j <= b_len; j++) {
      bool same = folded(a[i - 1]) == folded(b[j - 1]);
      now[j] = least(least(last[j], now[j - 1]) + 1, last[j - 1] + !same);
      if (i > 1 && j > 1 && folded(a[i - 1]) == folded(b[j - 2]) &&
          folded(a[i - 2]) == folded(b[j - 1]))
        now[j] = least(now[j], before[j - 2] + 1);
    }
    size_t *spare = before;
    before = last;
    last = now;
    now = spare;
  }
  return last[b_len];
}

const char *nearest_name(const char *name, const char *const *names, size_t n) {
  size_t length = strlen(name), best = SIZE_MAX;
  const char *found = NULL;
  if (length > LONGEST) return NULL;
  for (size_t i = 0; i < n; i++) {
    size_t other = strlen(names[i]), longer = length > other ? length : other;
    if (other > LONGEST) continue;
    size_t slips = distance(name, length, names[i], other);
    if (3 * slips > longer || slips >= best) continue;
    best = slips;
    found = names[i];
  }
  return found;
}
