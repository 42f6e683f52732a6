/* UTF-8 that comes in pieces: wrong at the first byte after which no text can follow. */
#ifndef ML_UTF8_CHECK_H
#define ML_UTF8_CHECK_H

#include "base/utf8.h"

/* All zero at the beginning of a text. */
typedef struct Utf8Check {
  unsigned char begun[3]; /* of a character that is not complete */
  unsigned char count;
} Utf8Check;

/* Goes on with the next `n` bytes. False: the text is not well-formed, whatever may follow. */
bool utf8_check_more(Utf8Check *check, const char *p, size_t n);

/* Could the text end here? */
static inline bool utf8_check_is_whole(const Utf8Check *check) { return !check->count; }

#endif
