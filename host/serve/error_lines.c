#include "serve/error_lines.h"

#include "log/log_output.h"

#define RETRY_MS 50

static void retry(uv_timer_t *timer) {
  if (!log_output_retry()) uv_timer_stop(timer);
}

void error_lines_open(ErrorLines *errors, uv_loop_t *loop) {
  uv_timer_init(loop, &errors->retry);
  uv_unref((uv_handle_t *)&errors->retry);
}

static void retry_if(ErrorLines *errors, bool waits) {
  if (waits) uv_timer_start(&errors->retry, retry, RETRY_MS, RETRY_MS);
}

void error_lines_add(ErrorLines *errors, const char *lines, size_t n) {
  retry_if(errors, log_output_write_lines(lines, n));
}

void error_lines_say(ErrorLines *errors, LogLevel level, const char *message) {
  retry_if(errors, log_output_say(level, message));
}

void error_lines_close(ErrorLines *errors) { uv_close((uv_handle_t *)&errors->retry, NULL); }
