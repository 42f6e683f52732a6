/* Text built where neither malloc nor stdio may be used: in a signal handler. What does not fit is
   cut off. */
#ifndef ML_TEXT_H
#define ML_TEXT_H

#include <stddef.h>
#include <stdint.h>

typedef struct Text {
  char *data; /* always ends with a NUL */
  size_t len, size;
} Text;

/* An empty text in `memory`, of `size` bytes, at least one. */
Text text_in(char *memory, size_t size);

/* Appends a text; a number in decimal digits. */
void text_add(Text *text, const char *more);
void text_add_number(Text *text, uint64_t number);

/* Nanoseconds as "123 ms" or "12.3 s". */
void text_add_duration(Text *text, uint64_t ns);

#endif
