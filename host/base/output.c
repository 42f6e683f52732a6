#include "base/output.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* Opens the same pipe or terminal again, with its own mode; -1 if it belongs to somebody else. */
static int open_again(int fd) {
  char path[40];
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  return open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

void output_open(Output *output, int fd) {
  struct stat about;
  *output = (Output){.fd = fd, .kind = OUTPUT_OTHER};
  if (fstat(fd, &about)) return;
  bool is_terminal = isatty(fd);
  if (S_ISREG(about.st_mode) || (S_ISCHR(about.st_mode) && !is_terminal)) {
    output->kind = OUTPUT_FILE;
  } else if (S_ISSOCK(about.st_mode)) {
    output->kind = OUTPUT_SOCKET;
  } else if (S_ISFIFO(about.st_mode) || is_terminal) {
    int own = open_again(fd);
    if (own >= 0) *output = (Output){.fd = own, .kind = OUTPUT_PIPE};
  }
}

void output_close(Output *output) {
  if (output->kind == OUTPUT_PIPE) close(output->fd);
  output->kind = OUTPUT_OTHER;
}

bool output_has_room(int fd) {
  struct pollfd writable = {.fd = fd, .events = POLLOUT};
  return poll(&writable, 1, 0) == 1;
}

/* How many of the first bytes are written at once: as much as one write keeps together, up to a
   line end. */
static size_t first_lines(const Output *output, const char *lines, size_t n) {
  if (n <= PIPE_BUF || output->kind == OUTPUT_FILE) return n;
  const char *end = memrchr(lines, '\n', PIPE_BUF);
  if (!end) end = memchr(lines, '\n', n);
  size_t whole = end ? (size_t)(end + 1 - lines) : n;
  return whole > PIPE_BUF && output->kind == OUTPUT_OTHER ? PIPE_BUF : whole;
}

static ssize_t write_some(const Output *output, const char *bytes, size_t n) {
  if (output->kind == OUTPUT_SOCKET) return send(output->fd, bytes, n, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (output->kind == OUTPUT_OTHER && !output_has_room(output->fd)) {
    errno = EAGAIN;
    return -1;
  }
  return write(output->fd, bytes, n);
}

int output_flush(Output *output, Buffer *lines) {
  size_t at = 0;
  int error = 0;
  while (at < lines->len && !error) {
    size_t now = first_lines(output, lines->data + at, lines->len - at);
    ssize_t n = write_some(output, lines->data + at, now);
    if (n > 0)
      at += (size_t)n;
    else if (n == 0 || errno != EINTR)
      error = n == 0 ? EAGAIN : errno;
  }
  lines->len -= at;
  if (lines->len && at) memmove(lines->data, lines->data + at, lines->len);
  return at || error == EAGAIN ? 0 : error;
}
