/* Tracks where output leaves the cursor of a terminal, for text and colours, and measures the
   columns of a text. */
#ifndef ML_OUTPUT_CURSOR_H
#define ML_OUTPUT_CURSOR_H

#include <stddef.h>
#include <wchar.h>

typedef struct OutputCursor {
  int column;
  int escape; /* position in an escape sequence */
  mbstate_t state;
} OutputCursor;

/* Follows the cursor through output to a terminal of `width` columns. */
void output_cursor_follow(OutputCursor *cursor, const char *data, size_t n, int width);

/* Columns of a text in the locale's encoding. */
int output_cursor_columns(const char *text);

/* The row, counted from the first one, on which the wide text from `from` to `to` ends if it begins
   in `column`. */
int output_cursor_row(int column, const wchar_t *from, const wchar_t *to, int width);

#endif
