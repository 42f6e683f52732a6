#include "serve/error_lines.h"

#include <poll.h>
#include <unistd.h>

#define MAX_WAITING (1024 * 1024)
#define RETRY_MS 50
#define LAST_MS 1000

static void flush(ErrorLines *errors) {
  if (output_flush(&errors->output, &errors->lines)) errors->lines.len = 0; /* nobody ever reads */
  if (errors->lines.len || !errors->lost) return;
  buffer_printf(&errors->lines, "moonloop: nobody was reading: %zu lines lost\n", errors->lost);
  errors->lost = 0;
  output_flush(&errors->output, &errors->lines);
}

static void retry(uv_timer_t *timer) {
  ErrorLines *errors = timer->data;
  flush(errors);
  if (!errors->lines.len) uv_timer_stop(timer);
}

void error_lines_open(ErrorLines *errors, uv_loop_t *loop) {
  output_open(&errors->output, STDERR_FILENO);
  uv_timer_init(loop, &errors->retry);
  uv_unref((uv_handle_t *)&errors->retry);
  errors->retry.data = errors;
}

void error_lines_add(ErrorLines *errors, const char *lines, size_t n) {
  if (errors->lines.len + n > MAX_WAITING || !buffer_add(&errors->lines, lines, n)) {
    for (size_t i = 0; i < n; i++) errors->lost += lines[i] == '\n';
    return;
  }
  flush(errors);
  if (errors->lines.len) uv_timer_start(&errors->retry, retry, RETRY_MS, RETRY_MS);
}

void error_lines_close(ErrorLines *errors) {
  struct pollfd writable = {.fd = errors->output.fd, .events = POLLOUT};
  uint64_t until = uv_hrtime() + LAST_MS * 1000000ull;
  flush(errors);
  while (errors->lines.len && uv_hrtime() < until) {
    poll(&writable, 1, RETRY_MS);
    flush(errors);
  }
  output_close(&errors->output);
  buffer_free(&errors->lines);
  uv_close((uv_handle_t *)&errors->retry, NULL);
}
