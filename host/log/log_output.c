#include "log/log_output.h"

#include "base/output.h"
#include "log/log_format.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

enum {
  MOST_WAITING = 256 * 1024,         /* bytes that may wait to be read */
  MOST_ERRORS_WAITING = 1024 * 1024, /* the same with errors; what comes then is counted */
  RETRY_MS = 50,
  LAST_MS = 1000, /* how long the end of the process waits for a reader */
  QUARTER = 900   /* seconds: the shortest time after which a zone's offset can change */
};

/* What the process has once. */
static struct {
  pthread_once_t once;
  pthread_mutex_t lock; /* for what follows it */
  LogSettings chosen, used;
  const char *wrong;
  LogProcess process;
  bool colours;
  LogFormat format_given; /* by the supervisor */
  Output output;
  bool is_open;
  Buffer waiting;
  size_t lost, lost_errors; /* lines; those of them that were entries of errors */
  int64_t offset_of;        /* the quarter of an hour that `offset` is valid for */
  _Atomic int offset;       /* seconds that local time is ahead of UTC */
} state = {.once = PTHREAD_ONCE_INIT,
           .lock = PTHREAD_MUTEX_INITIALIZER,
           .chosen = {LOG_LEVELS, LOG_FORMAT_UNSET}};

/* --- settings --- */

static void settle(void) {
  const char *variable = getenv("MOONLOOP_LOG"), *no_color = getenv("NO_COLOR");
  LogSettings from = LOG_SETTINGS_UNSET;
  if (variable && *variable && !log_level_read(variable, &from)) {
    state.wrong = variable;
    from = LOG_SETTINGS_UNSET;
  }
  LogSettings *used = &state.used;
  *used = state.chosen;
  if (used->level == LOG_LEVELS) used->level = from.level;
  if (used->level == LOG_LEVELS) used->level = LOG_INFO;
  if (!used->format) used->format = state.format_given ? state.format_given : from.format;
  if (!used->format) used->format = isatty(STDERR_FILENO) ? LOG_FORMAT_TERMINAL : LOG_FORMAT_JSON;
  state.colours = !(no_color && *no_color);
  output_open(&state.output, STDERR_FILENO);
  state.is_open = true;
}

static const LogSettings *settings(void) {
  pthread_once(&state.once, settle);
  return &state.used;
}

void log_output_choose(LogSettings chosen) { state.chosen = chosen; }

void log_output_set_worker(int number, LogFormat format) {
  state.process = (LogProcess){number, getpid()};
  state.format_given = format;
}

bool log_output_wants(LogLevel level) { return (int)level >= settings()->level; }

LogFormat log_output_format(void) { return settings()->format; }

const char *log_output_wrong_setting(void) {
  settings();
  return state.wrong;
}

/* --- formats --- */

int64_t log_output_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int local_offset(int64_t now) {
  time_t seconds = (time_t)(now / 1000000000);
  pthread_mutex_lock(&state.lock);
  if (seconds / QUARTER + 1 != state.offset_of) {
    struct tm local;
    if (localtime_r(&seconds, &local)) state.offset = (int)local.tm_gmtoff;
    state.offset_of = seconds / QUARTER + 1;
  }
  pthread_mutex_unlock(&state.lock);
  return state.offset;
}

static bool format_with(Buffer *out, const LogEntry *entry, int offset) {
  LogFormat format = settings()->format;
  bool stamped = format == LOG_FORMAT_TERMINAL;
  LogStyle style = {stamped, stamped && state.colours, offset};
  return format == LOG_FORMAT_JSON ? log_format_json(out, entry, &state.process)
                                   : log_format_text(out, entry, &style);
}

bool log_output_format_json(Buffer *out, const LogEntry *entry) {
  settings();
  return log_format_json(out, entry, &state.process);
}

/* --- the standard error --- */

static LogEntry entry_of_host(LogLevel level, const char *message) {
  return (LogEntry){.level = level,
                    .source = LOG_HOST,
                    .time = log_output_now(),
                    .message = message,
                    .message_len = strlen(message)};
}

/* With the lock. */
static void flush(void) {
  if (!state.is_open) state.waiting.len = 0; /* the process has ended */
  if (state.waiting.len && output_flush(&state.output, &state.waiting)) {
    state.waiting.len = 0; /* nobody ever reads: closed */
    state.lost = state.lost_errors = 0;
  }
  if (!state.lost || state.waiting.len) return;
  char text[120];
  int n = snprintf(text, sizeof text, "nobody was reading: %zu lines lost", state.lost);
  if (state.lost_errors)
    snprintf(text + n, sizeof text - (size_t)n, ", %zu of them errors", state.lost_errors);
  LogEntry entry = entry_of_host(state.lost_errors ? LOG_ERROR : LOG_WARN, text);
  if (format_with(&state.waiting, &entry, state.offset)) state.lost = state.lost_errors = 0;
  if (output_flush(&state.output, &state.waiting)) state.waiting.len = 0;
}

static size_t count_lines(const char *lines, size_t n) {
  size_t count = 0;
  for (size_t i = 0; i < n; i++) count += lines[i] == '\n';
  return count;
}

/* A prompt puts a stream of its own in place of the standard error, which keeps the line that is
   being edited. */
static bool is_prompts(void) { return fileno(stderr) != STDERR_FILENO; }

static bool write_lines(const char *lines, size_t n, size_t most, size_t count, size_t errors) {
  if (is_prompts()) {
    fwrite(lines, 1, n, stderr);
    fflush(stderr);
    return false;
  }
  settings();
  pthread_mutex_lock(&state.lock);
  if (state.waiting.len) flush();
  if (state.waiting.len + n > most || !buffer_add(&state.waiting, lines, n)) {
    state.lost += count;
    state.lost_errors += errors;
  }
  flush();
  bool waits = state.waiting.len || state.lost;
  if (!waits && state.waiting.cap > 64 * 1024) buffer_free(&state.waiting);
  pthread_mutex_unlock(&state.lock);
  return waits;
}

bool log_output_write(const LogEntry *entry) {
  Buffer line = {0};
  bool is_error = entry->level == LOG_ERROR;
  int offset = settings()->format == LOG_FORMAT_TERMINAL ? local_offset(entry->time) : 0;
  if (!format_with(&line, entry, offset)) {
    static const char poor[] = "moonloop: not enough memory for an entry of the log\n";
    return write_lines(poor, sizeof poor - 1, MOST_ERRORS_WAITING, 1, is_error);
  }
  bool waits =
      write_lines(line.data, line.len, is_error ? MOST_ERRORS_WAITING : MOST_WAITING, 1, is_error);
  buffer_free(&line);
  return waits;
}

bool log_output_write_lines(const char *lines, size_t n) {
  return write_lines(lines, n, MOST_ERRORS_WAITING, count_lines(lines, n), 0);
}

bool log_output_say(LogLevel level, const char *message) {
  LogEntry entry = entry_of_host(level, message);
  return log_output_wants(level) && log_output_write(&entry);
}

bool log_output_retry(void) {
  pthread_mutex_lock(&state.lock);
  if (state.waiting.len || state.lost) flush();
  bool waits = state.waiting.len || state.lost;
  pthread_mutex_unlock(&state.lock);
  return waits;
}

void log_output_finish(void) {
  uint64_t until = uv_hrtime() + LAST_MS * 1000000ull;
  struct pollfd writable = {.fd = state.output.fd, .events = POLLOUT};
  while (log_output_retry() && uv_hrtime() < until) poll(&writable, 1, RETRY_MS);
  pthread_mutex_lock(&state.lock);
  if (state.is_open) output_close(&state.output);
  state.is_open = false;
  buffer_free(&state.waiting);
  pthread_mutex_unlock(&state.lock);
}

/* --- in signal handlers --- */

/* The bytes of its texts; each may become six. */
static size_t size_of(const LogEntry *entry) {
  size_t n = entry->message_len;
  for (size_t i = 0; i < entry->n_fields; i++)
    n += entry->fields[i].name_len + entry->fields[i].value_len;
  return n;
}

void log_output_write_in_signal(const LogEntry *entry) {
  char memory[32 * 1024];
  Buffer line = {memory, 0, sizeof memory}; /* has so much room that it never grows */
  if (size_of(entry) > (sizeof memory - 2048) / 6 || !state.is_open) return;
  if (!format_with(&line, entry, state.offset) || !output_has_room(state.output.fd)) return;
  if (write(state.output.fd, line.data, line.len) < 0) return;
}
