#include "base/write_all.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

bool write_all(int fd, const char *bytes, size_t n) {
  while (n) {
    ssize_t now = write(fd, bytes, n);
    if (now < 0 && errno == EAGAIN) {
      struct pollfd writable = {.fd = fd, .events = POLLOUT};
      poll(&writable, 1, -1);
    } else if (now < 0 && errno != EINTR) {
      return false;
    } else if (now > 0) {
      bytes += now;
      n -= (size_t)now;
    }
  }
  return true;
}
