#include "cli/output_cursor.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { NO_ESCAPE, ESCAPE_BEGUN, ESCAPE_PARAMETERS };

static void follow_escape(OutputCursor *cursor, unsigned char c) {
  if (cursor->escape == ESCAPE_BEGUN)
    cursor->escape = c == '[' ? ESCAPE_PARAMETERS : NO_ESCAPE;
  else if (c >= '@')
    cursor->escape = NO_ESCAPE;
}

static void follow_control(OutputCursor *cursor, unsigned char c) {
  if (c == '\n' || c == '\r')
    cursor->column = 0;
  else if (c == '\t')
    cursor->column += 8 - cursor->column % 8;
  else if (c == '\b' && cursor->column > 0)
    cursor->column--;
  else if (c == 27)
    cursor->escape = ESCAPE_BEGUN;
}

void output_cursor_follow(OutputCursor *cursor, const char *data, size_t n, int width) {
  for (size_t i = 0, used; i < n; i += used) {
    unsigned char c = (unsigned char)data[i];
    used = 1;
    if (cursor->escape) {
      follow_escape(cursor, c);
    } else if (c < 32 || c == 127) {
      follow_control(cursor, c);
    } else {
      wchar_t wide;
      used = mbrtowc(&wide, data + i, n - i, &cursor->state);
      if (used == (size_t)-2) return;
      bool is_wide = used != (size_t)-1 && used != 0;
      int columns = is_wide ? wcwidth(wide) : 1;
      if (!is_wide) {
        memset(&cursor->state, 0, sizeof cursor->state);
        used = 1;
      }
      cursor->column += columns > 0 ? columns : 0;
    }
    if (cursor->column > width) cursor->column -= width;
  }
}

int output_cursor_columns(const char *text) {
  int columns = 0;
  mbstate_t state = {0};
  wchar_t wide;
  for (size_t used, left = strlen(text); left; text += used, left -= used) {
    used = mbrtowc(&wide, text, left, &state);
    if (used == (size_t)-2 || used == (size_t)-1) return columns + (int)left;
    columns += wcwidth(wide) > 0 ? wcwidth(wide) : 0;
  }
  return columns;
}

int output_cursor_row(int column, const wchar_t *from, const wchar_t *to, int width) {
  int row = 0;
  for (; from < to; from++) {
    int w = *from == L'\t' ? 8 - column % 8 : wcwidth(*from);
    if (w < 0) w = *from < 32 || *from == 127 ? 2 : 8; /* ^X, or \U+12345 */
    if (column + w > width) {
      row++;
      column = 0;
    }
    column += w;
    if (column >= width) {
      row++;
      column -= width;
    }
  }
  return row;
}
