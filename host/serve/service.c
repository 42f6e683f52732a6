#include "serve/service.h"

#include "log/log_output.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define PATIENCE_MS 1000 /* for a manager that is slow to read */

/* Sends a message, if anybody wants to know. */
static void tell(Service *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void tell(Service *s, const char *format, ...) {
  char text[1536];
  va_list args;
  if (s->fd < 0) return;
  va_start(args, format);
  int n = vsnprintf(text, sizeof text, format, args);
  va_end(args);
  size_t len = n < (int)sizeof text ? (size_t)n : sizeof text - 1;
  struct pollfd manager = {.fd = s->fd, .events = POLLOUT};
  if (send(s->fd, text, len, MSG_NOSIGNAL) < 0 && errno == EAGAIN &&
      poll(&manager, 1, PATIENCE_MS) == 1)
    send(s->fd, text, len, MSG_NOSIGNAL);
}

/* A socket that is connected to the one at `path`; a path that begins with @ is an abstract name.
   Returns -1 where there is none, with errno. */
static int connect_to(const char *path) {
  struct sockaddr_un name = {.sun_family = AF_UNIX};
  size_t n = strlen(path);
  errno = EINVAL;
  if ((*path != '/' && *path != '@') || n < 2 || n >= sizeof name.sun_path) return -1;
  memcpy(name.sun_path, path, n);
  if (*path == '@') name.sun_path[0] = 0;
  socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + (*path == '/'));
  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0 || connect(fd, (struct sockaddr *)&name, size) == 0) return fd;
  int error = errno;
  close(fd);
  errno = error;
  return -1;
}

static void show_life(uv_timer_t *timer) { tell(timer->data, "WATCHDOG=1"); }

/* Shows life at half of the time that the manager allows. */
static void start_watchdog(Service *s) {
  const char *pid = getenv("WATCHDOG_PID"), *usec = getenv("WATCHDOG_USEC");
  double ms = usec ? strtod(usec, NULL) / 2000 : 0;
  if (!(ms > 0 && ms < 1e15) || (pid && strtol(pid, NULL, 10) != getpid())) return;
  uint64_t pause = ms < 1 ? 1 : (uint64_t)ms;
  uv_timer_start(&s->watchdog, show_life, pause, pause);
}

void service_open(Service *s, uv_loop_t *loop) {
  const char *path = getenv("NOTIFY_SOCKET");
  s->fd = path ? connect_to(path) : -1;
  if (path && s->fd < 0) {
    char text[400];
    snprintf(text, sizeof text,
             "the service manager at NOTIFY_SOCKET=%s cannot be told anything: %s", path,
             strerror(errno));
    log_output_say(LOG_WARN, text);
  }
  uv_timer_init(loop, &s->watchdog);
  uv_unref((uv_handle_t *)&s->watchdog);
  s->watchdog.data = s;
  if (s->fd >= 0) start_watchdog(s);
  unsetenv("NOTIFY_SOCKET");
  unsetenv("WATCHDOG_USEC");
  unsetenv("WATCHDOG_PID");
}

void service_ready(Service *s, const char *status) {
  tell(s, "READY=1\nMAINPID=%d\nSTATUS=%s", getpid(), status);
}

void service_reloading(Service *s) {
  tell(s, "RELOADING=1\nMONOTONIC_USEC=%llu\nSTATUS=reloading",
       (unsigned long long)uv_hrtime() / 1000);
}

void service_stopping(Service *s, const char *status) { tell(s, "STOPPING=1\nSTATUS=%s", status); }

void service_close(Service *s) {
  uv_close((uv_handle_t *)&s->watchdog, NULL);
  if (s->fd >= 0) close(s->fd);
  s->fd = -1;
}
