#include "serve/child.h"

#include "base/quote.h"
#include "log/log_format.h"
#include "log/log_output.h"
#include "serve/supervised.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* Bytes of a line of a worker's standard error; the rest is shown as another line. */
#define LONGEST_LINE (64 * 1024)
#define CHUNK (16 * 1024)

extern char **environ;

/* --- what it says --- */

/* Adds the line as text, behind the worker's name unless it is alone. */
static bool add_text(const Child *w, Buffer *out, const char *line, size_t n) {
  return (w->owner->is_alone ||
          buffer_printf(out, "[worker %u pid %d] ", w->number, w->process.pid)) &&
         buffer_add(out, line, n) && buffer_add_char(out, '\n');
}

/* Has the line what entries have, and nothing that they have only escaped? */
static bool is_entry(const char *line, size_t n) {
  static const char begin[] = "{\"time\":\"";
  Buffer shown = {0};
  bool is = n > sizeof begin && memcmp(line, begin, sizeof begin - 1) == 0 && line[n - 1] == '}' &&
            !memchr(line, '\t', n) && quote_text(&shown, line, n) && shown.len == n;
  buffer_free(&shown);
  return is;
}

/* Adds the line as JSON: an entry as it is, which names its worker, and anything else as a message.
   The line has no NUL at its end. */
static bool add_json(const Child *w, Buffer *out, const char *line, size_t n) {
  if (is_entry(line, n)) return buffer_add(out, line, n) && buffer_add_char(out, '\n');
  LogEntry entry = {.level = LOG_INFO,
                    .source = LOG_SCRIPT,
                    .time = log_output_now(),
                    .message = line,
                    .message_len = n};
  return log_format_json(out, &entry, &(LogProcess){(int)w->number, w->process.pid});
}

/* Shows `n` bytes of whole lines. */
static void show_lines(const Child *w, const char *lines, size_t n) {
  Buffer out = {0};
  bool ok = true, is_json = log_output_format() == LOG_FORMAT_JSON;
  for (const char *end = lines + n; ok && lines < end;) {
    const char *line_end = memchr(lines, '\n', (size_t)(end - lines));
    size_t len = (size_t)((line_end ? line_end : end) - lines);
    ok = (is_json ? add_json : add_text)(w, &out, lines, len);
    lines += len + (line_end != NULL);
  }
  if (out.len) error_lines_add(w->owner->errors, out.data, out.len);
  buffer_free(&out);
}

static void on_printed(Child *w, const char *bytes, size_t n) {
  if (!buffer_add(&w->printed, bytes, n)) return;
  const char *last = memrchr(w->printed.data, '\n', w->printed.len);
  size_t whole = last ? (size_t)(last + 1 - w->printed.data) : 0;
  if (w->printed.len - whole > LONGEST_LINE) whole = w->printed.len;
  show_lines(w, w->printed.data, whole);
  memmove(w->printed.data, w->printed.data + whole, w->printed.len - whole);
  w->printed.len -= whole;
}

static void on_line(Child *w, const SaidLine *line) {
  if (line->kind == SAID_FILE) {
    w->owner->on_file(w, line->path, &line->signature);
  } else if (w->state == PROCESS_STARTING) {
    w->state = PROCESS_READY;
    w->was_ready = true;
    w->drain = fmin(line->drain, w->owner->drain);
    w->owner->on_ready(w);
  }
}

static void on_said(Child *w, const char *bytes, size_t n) {
  SaidLine line;
  if (!supervised_said_add(&w->said, bytes, n)) return;
  while (supervised_said_next(&w->said, &line)) on_line(w, &line);
}

static void alloc_read(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer) {
  (void)handle;
  (void)suggested;
  char *chunk = malloc(CHUNK);
  *buffer = uv_buf_init(chunk, chunk ? CHUNK : 0);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buffer) {
  Child *w = stream->data;
  if (n < 0) uv_read_stop(stream);
  if (n > 0)
    (stream == (uv_stream_t *)&w->errors ? on_printed : on_said)(w, buffer->base, (size_t)n);
  free(buffer->base);
}

/* --- its end --- */

static void on_closed(uv_handle_t *handle) {
  Child *w = handle->data;
  if (--w->open_handles) return;
  buffer_free(&w->printed);
  supervised_said_free(&w->said);
  child_channel_free(&w->channel);
  free(w);
}

/* Shows its last output: what is in the pipe by now. Processes that it has started may keep it
   open, and write on. */
static void show_rest(Child *w) {
  uv_os_fd_t fd;
  char bytes[CHUNK];
  int left = 0;
  if (uv_fileno((uv_handle_t *)&w->errors, &fd) || ioctl(fd, FIONREAD, &left)) return;
  for (ssize_t n; left > 0 && (n = read(fd, bytes, sizeof bytes)) > 0; left -= (int)n)
    on_printed(w, bytes, (size_t)n);
  show_lines(w, w->printed.data, w->printed.len);
}

static void close_handles(Child *w) {
  uv_handle_t *handles[] = {(uv_handle_t *)&w->errors, (uv_handle_t *)&w->control,
                            (uv_handle_t *)&w->channel.pipe, (uv_handle_t *)&w->killer,
                            (uv_handle_t *)&w->process};
  for (size_t i = 0; i < sizeof handles / sizeof *handles; i++) {
    if (handles[i]->type == UV_UNKNOWN_HANDLE) continue; /* no process was started */
    w->open_handles++;
    uv_close(handles[i], on_closed);
  }
}

static void on_process_exit(uv_process_t *process, int64_t status, int signum) {
  Child *w = process->data;
  w->status = (int)status;
  w->signal = signum;
  show_rest(w);
  *w->link = w->next;
  if (w->next) w->next->link = w->link;
  child_board_give(w->owner->board, &w->owner->places, w->place);
  w->owner->on_end(w);
  close_handles(w);
}

static void kill_it(uv_timer_t *killer) {
  Child *w = killer->data;
  char line[100];
  snprintf(line, sizeof line, "worker %u (pid %d) does not end: it is killed", w->number,
           w->process.pid);
  error_lines_say(w->owner->errors, LOG_ERROR, line);
  uv_process_kill(&w->process, SIGKILL);
}

static void leave(Child *w) {
  double limit = w->drain + w->owner->kill_after;
  w->state = PROCESS_LEAVING;
  if (limit < 1e9) uv_timer_start(&w->killer, kill_it, (uint64_t)(limit * 1000), 0);
}

void child_stop(Child *w) {
  if (w->state != PROCESS_LEAVING) leave(w);
  uv_process_kill(&w->process, SIGTERM);
}

static bool tell(Child *w, char word) {
  uv_buf_t words = uv_buf_init(&word, 1);
  return uv_try_write((uv_stream_t *)&w->control, &words, 1) == 1;
}

void child_retire(Child *w) {
  if (w->state != PROCESS_READY) {
    child_stop(w);
    return;
  }
  leave(w);
  if (!tell(w, SUPERVISED_RETIRE)) uv_process_kill(&w->process, SIGTERM);
}

void child_read_certificates(Child *w) {
  if (w->state != PROCESS_LEAVING) tell(w, SUPERVISED_CERTIFICATES);
}

void child_describe_end(const Child *w, char *text, size_t size) {
  if (w->signal)
    snprintf(text, size, "was killed by signal %d (%s)", w->signal, strsignal(w->signal));
  else
    snprintf(text, size, "exited with status %d", w->status);
}

/* --- its start --- */

/* The environment of a worker: ours, plus its number, its place and the format of the log. The
   caller frees the list, and keeps the texts until then. NULL if memory is out. */
static char **make_environment(char *number, char *place, char *log) {
  size_t n = 0, count = 0;
  while (environ[n]) n++;
  char **list = malloc((n + 4) * sizeof *list);
  if (!list) return NULL;
  for (size_t i = 0; i < n; i++)
    if (strncmp(environ[i], WORKER_VARIABLE "=", sizeof WORKER_VARIABLE) != 0)
      list[count++] = environ[i];
  list[count++] = number;
  list[count++] = place;
  list[count++] = log;
  list[count] = NULL;
  return list;
}

/* Starts the process with the other ends of its pipes. */
static int spawn(Child *w, int errors, int control, int channel) {
  char number[48], place[48 + SERVE_SOCKETS_MAX], letters[SERVE_SOCKETS_MAX + 2], log[48];
  const ServeSockets *sockets = w->owner->sockets;
  snprintf(number, sizeof number, WORKER_VARIABLE "=%u", w->number);
  serve_sockets_letters(sockets, letters);
  snprintf(place, sizeof place, SUPERVISED_VARIABLE "=%d:%s", w->place, letters);
  snprintf(log, sizeof log, LOG_VARIABLE "=%s", log_level_format_name(log_output_format()));
  char **environment = make_environment(number, place, log);
  if (!environment) return UV_ENOMEM;
  uv_stdio_container_t stdio[SUPERVISED_SOCKETS + SERVE_SOCKETS_MAX + 1] = {
      {.flags = UV_IGNORE},
      {.flags = UV_INHERIT_FD, .data.fd = STDOUT_FILENO},
      {.flags = UV_INHERIT_FD, .data.fd = errors},
      [SUPERVISED_CONTROL] = {.flags = UV_INHERIT_FD, .data.fd = control},
      [SUPERVISED_BOARD] = {.flags = UV_INHERIT_FD, .data.fd = w->owner->board_fd},
      [SUPERVISED_CHANNEL] = {.flags = UV_INHERIT_FD, .data.fd = channel},
      [SUPERVISED_METRICS] = {.flags = UV_INHERIT_FD, .data.fd = w->owner->metrics->fd},
  };
  for (unsigned i = 0; i < sockets->n; i++)
    stdio[SUPERVISED_SOCKETS + i] =
        (uv_stdio_container_t){.flags = UV_INHERIT_FD, .data.fd = sockets->list[i].fd};
  int n_stdio = SUPERVISED_SOCKETS + (int)sockets->n;
  if (sockets->inspect.is_open)
    stdio[n_stdio++] =
        (uv_stdio_container_t){.flags = UV_INHERIT_FD, .data.fd = sockets->inspect.socket.fd};
  uv_process_options_t options = {
      .file = "/proc/self/exe", /* the same version, even if the file has been replaced */
      .args = w->owner->argv,
      .env = environment,
      .stdio = stdio,
      .stdio_count = n_stdio,
      .exit_cb = on_process_exit,
  };
  int rc = uv_spawn(w->owner->loop, &w->process, &options);
  free(environment);
  return rc;
}

static void close_all(const int fds[], int n) {
  for (int i = 0; i < n; i++)
    if (fds[i] >= 0) close(fds[i]);
}

/* The two ends of the three connections: ours are `fds[0]`, `fds[2]` and `fds[4]`. */
static int connect_all(int fds[6]) {
  for (int i = 0; i < 6; i++) fds[i] = -1;
  int rc = uv_pipe(fds, UV_NONBLOCK_PIPE, 0);
  if (!rc) rc = uv_socketpair(SOCK_STREAM, 0, fds + 2, UV_NONBLOCK_PIPE, 0);
  if (!rc) rc = uv_socketpair(SOCK_STREAM, 0, fds + 4, UV_NONBLOCK_PIPE, UV_NONBLOCK_PIPE);
  if (rc) close_all(fds, 6);
  return rc;
}

/* Starts the process and listens to it. */
static int start(Child *w) {
  int fds[6];
  int rc = connect_all(fds);
  if (rc) return rc;
  rc = spawn(w, fds[1], fds[3], fds[5]);
  close(fds[1]);
  close(fds[3]);
  close(fds[5]);
  if (uv_pipe_open(&w->errors, fds[0])) close(fds[0]);
  if (uv_pipe_open(&w->control, fds[2])) close(fds[2]);
  child_channel_open(&w->channel, fds[4]);
  if (rc) return rc;
  uv_read_start((uv_stream_t *)&w->errors, alloc_read, on_read);
  uv_read_start((uv_stream_t *)&w->control, alloc_read, on_read);
  return 0;
}

int child_start(ChildOwner *owner, unsigned number, unsigned generation) {
  Child *w = calloc(1, sizeof *w);
  if (!w) return UV_ENOMEM;
  w->place = child_board_take(owner->board, &owner->places);
  if (w->place < 0) {
    free(w);
    return UV_EAGAIN;
  }
  w->owner = owner;
  w->number = number;
  w->generation = generation;
  w->started_at = uv_now(owner->loop);
  w->process.data = w->errors.data = w->control.data = w->killer.data = w->channel.pipe.data = w;
  uv_pipe_init(owner->loop, &w->errors, 0);
  uv_pipe_init(owner->loop, &w->control, 0);
  uv_pipe_init(owner->loop, &w->channel.pipe, 0);
  uv_timer_init(owner->loop, &w->killer);
  int rc = start(w);
  if (rc) {
    child_board_give(owner->board, &owner->places, w->place);
    close_handles(w);
    return rc;
  }
  w->next = owner->first;
  w->link = &owner->first;
  if (w->next) w->next->link = &w->next;
  owner->first = w;
  metric_share_lend(owner->metrics, (unsigned)w->place + 1);
  return 0;
}
