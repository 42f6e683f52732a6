/* Messages of a supervisor and its workers on standard error. If nobody reads there, lines wait up
   to a limit, and are lost and counted beyond it, while the supervisor continues. */
#ifndef ML_ERROR_LINES_H
#define ML_ERROR_LINES_H

#include "base/output.h"

#include <uv.h>

typedef struct ErrorLines {
  Output output;
  Buffer lines;
  size_t lost;
  uv_timer_t retry;
} ErrorLines;

/* Prepares them; the handle does not keep the loop alive. */
void error_lines_open(ErrorLines *errors, uv_loop_t *loop);

/* Adds `n` bytes of whole lines. */
void error_lines_add(ErrorLines *errors, const char *lines, size_t n);

/* Tries once more for at most a second, and closes the handle. */
void error_lines_close(ErrorLines *errors);

#endif
