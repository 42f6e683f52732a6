/* Messages of a supervisor and its workers in the log of its process (log_output.h), which is tried
   again while nobody reads there and the supervisor continues. */
#ifndef ML_ERROR_LINES_H
#define ML_ERROR_LINES_H

#include "log/log_entry.h"

#include <uv.h>

typedef struct ErrorLines {
  uv_timer_t retry;
} ErrorLines;

/* Prepares them; the handle does not keep the loop alive. */
void error_lines_open(ErrorLines *errors, uv_loop_t *loop);

/* Adds `n` bytes of whole lines. */
void error_lines_add(ErrorLines *errors, const char *lines, size_t n);

/* Adds an entry of the supervisor. */
void error_lines_say(ErrorLines *errors, LogLevel level, const char *message);

/* Closes the handle. */
void error_lines_close(ErrorLines *errors);

#endif
