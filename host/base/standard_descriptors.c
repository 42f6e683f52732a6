#include "base/standard_descriptors.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

void standard_descriptors_open(void) {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
    if (fcntl(fd, F_GETFD) >= 0 || errno != EBADF) continue;
    /* `fd` is the lowest free number. Without /dev, anything that occupies the number is good
       enough. */
    if (open("/dev/null", O_RDWR) < 0) open("/", O_PATH | O_DIRECTORY);
  }
}
