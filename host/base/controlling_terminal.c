#include "base/controlling_terminal.h"

#include <fcntl.h>
#include <unistd.h>

bool controlling_terminal_exists(void) {
  int fd = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (fd >= 0) close(fd);
  return fd >= 0;
}
