#include "serve/supervised.h"

#include "base/file_watch.h"
#include "base/hash.h"
#include "base/write_all.h"
#include "core/runtime.h"
#include "log/log_output.h"
#include "metrics/metrics.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINE_MAX_SAID 8192

bool supervised_is_wanted(void) { return getenv(SUPERVISED_VARIABLE) != NULL; }

static void on_hangup(int signum) { (void)signum; }

/* SIGHUP is handled by the supervisor: if it was sent to all processes, or their terminal was
   closed, the supervisor decides what happens to this one. A handler, not SIG_IGN, which programs
   would inherit. */
static void leave_hangup_to_supervisor(void) {
  struct sigaction action = {.sa_handler = on_hangup, .sa_flags = SA_RESTART};
  sigaction(SIGHUP, &action, NULL);
}

static bool is_socket(int fd) {
  struct stat about;
  return fstat(fd, &about) == 0 && S_ISSOCK(about.st_mode);
}

const char *supervised_take(Supervised *s, ServeSockets *sockets) {
  const char *place = getenv(SUPERVISED_VARIABLE), *number = getenv(WORKER_VARIABLE);
  const char *letters = place ? strchr(place, ':') : NULL;
  int at = place ? atoi(place) : -1;
  if (!number || atoi(number) < 1 || at < 0 || at >= CHILD_PLACES_MAX ||
      !is_socket(SUPERVISED_CONTROL) || !is_socket(SUPERVISED_CHANNEL) || !letters ||
      !serve_sockets_inherit(sockets, SUPERVISED_SOCKETS, letters + 1))
    return SUPERVISED_VARIABLE " is for the workers that `moonloop serve --workers` starts";
  s->share.board = child_board_map(SUPERVISED_BOARD);
  if (!s->share.board) return "a worker cannot map the memory that it shares with the others";
  close(SUPERVISED_BOARD);
  if (!metric_share_open(&s->metrics, SUPERVISED_METRICS, (unsigned)at + 1))
    return "a worker cannot map the memory of the metrics";
  tls_tickets_share(&s->share.board->tickets);
  s->share.own = &s->share.board->places[at];
  s->number = atoi(number);
  memcpy(sockets->inspect.token, s->share.board->inspect_token, sizeof sockets->inspect.token);
  fcntl(SUPERVISED_CONTROL, F_SETFD, FD_CLOEXEC);
  fcntl(SUPERVISED_CHANNEL, F_SETFD, FD_CLOEXEC);
  fcntl(SUPERVISED_METRICS, F_SETFD, FD_CLOEXEC);
  unsetenv(SUPERVISED_VARIABLE);
  leave_hangup_to_supervisor();
  prctl(PR_SET_NAME, "moonloop"); /* it was started as /proc/self/exe */
  /* Lines of several processes that share an output stay whole. */
  setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
  return NULL;
}

void supervised_take_log(void) {
  const char *format = getenv(LOG_VARIABLE), *number = getenv(WORKER_VARIABLE);
  if (supervised_is_wanted() && number && atoi(number) > 0)
    log_output_set_worker(atoi(number), format ? log_level_find_format(format, strlen(format))
                                               : LOG_FORMAT_UNSET);
  unsetenv(LOG_VARIABLE);
}

static void on_control(uv_poll_t *poll, int status, int events) {
  Supervised *s = poll->data;
  char words[16];
  (void)status;
  (void)events;
  ssize_t n = recv(SUPERVISED_CONTROL, words, sizeof words, MSG_DONTWAIT);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n <= 0) {
    uv_poll_stop(poll);
    signals_raise(s->signals, SIGTERM);
  } else if (memchr(words, SUPERVISED_RETIRE, (size_t)n)) {
    signals_raise(s->signals, SIGHUP);
  } else if (memchr(words, SUPERVISED_CERTIFICATES, (size_t)n)) {
    signals_raise(s->signals, SIGUSR2);
  }
}

static void close_supervised(CloseHook *hook, Runtime *rt) {
  (void)rt;
  Supervised *s = container_of(hook, Supervised, close);
  uv_close((uv_handle_t *)&s->control, NULL);
}

int supervised_open(Supervised *s, Runtime *rt, Signals *signals) {
  int rc = uv_poll_init_socket(&rt->loop, &s->control, SUPERVISED_CONTROL);
  if (rc) return rc;
  s->signals = signals;
  metrics_set_share(rt, &s->metrics);
  s->control.data = s;
  uv_unref((uv_handle_t *)&s->control);
  s->close.close = close_supervised;
  ml_runtime_on_close(rt, &s->close);
  return uv_poll_start(&s->control, UV_READABLE, on_control);
}

/* Sends a line of `n` bytes, if it is valid. */
static void say(const char *line, int n) {
  if (n < LINE_MAX_SAID && strchr(line, '\n') == line + n - 1)
    write_all(SUPERVISED_CONTROL, line, (size_t)n);
}

void supervised_say_file(const char *path) {
  char whole[PATH_MAX], line[LINE_MAX_SAID];
  FileSignature signature;
  if (!realpath(path, whole) || !file_watch_signature(whole, &signature)) return;
  say(line, snprintf(line, sizeof line, "%s %s %s\n", SUPERVISED_FILE, signature.text, whole));
}

void supervised_say_ready(double drain) {
  char line[80];
  say(line, snprintf(line, sizeof line, "%s %.15g\n", SUPERVISED_READY, drain));
}

bool supervised_shows(Supervised *s, const char *text, size_t n) {
  uint64_t hash = hash_bytes(HASH_START, text, n);
  return atomic_exchange(&s->share.board->screen, hash) != hash;
}
