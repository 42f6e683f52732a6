#include "fs/file_io.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
  LOOK_MS = 20,           /* how often a wait looks whether it is still wanted */
  MOST = 4 * 1024 * 1024, /* bytes of one system call: how much is done for nobody at most */
};

/* Waits until the descriptor is ready. False if nobody wants it any more (ECANCELED). */
static bool wait_for(int fd, short events, FsStop *stop) {
  struct pollfd ready = {.fd = fd, .events = events};
  while (!atomic_load(stop))
    if (poll(&ready, 1, LOOK_MS)) return true;
  errno = ECANCELED;
  return false;
}

/* A FIFO without a reader cannot be opened for writing without blocking, and nothing tells when one
   comes. */
static bool wait_for_reader(const char *path, FsStop *stop) {
  struct stat about;
  if (stat(path, &about) || !S_ISFIFO(about.st_mode)) {
    errno = ENXIO;
    return false;
  }
  nanosleep(&(struct timespec){.tv_nsec = LOOK_MS * 1000000L}, NULL);
  errno = ECANCELED;
  return !atomic_load(stop);
}

int file_io_open(const char *path, int flags, int mode, FsStop *stop) {
  for (;;) {
    int fd = open(path, flags | FILE_IO_FLAGS, (mode_t)mode);
    if (fd >= 0 || (errno != EINTR && errno != ENXIO)) return fd;
    if (errno == ENXIO && !wait_for_reader(path, stop)) return -1;
  }
}

ssize_t file_io_read(int fd, void *to, size_t n, off_t at, FsStop *stop) {
  if (n > MOST) n = MOST;
  for (;;) {
    /* A FIFO that nobody has opened for writing yet reads like one at its end; poll tells. */
    if (at < 0 && !wait_for(fd, POLLIN, stop)) return -1;
    ssize_t got = at < 0 ? read(fd, to, n) : pread(fd, to, n, at);
    if (got >= 0) return got;
    if (errno == EAGAIN ? !wait_for(fd, POLLIN, stop) : errno != EINTR) return -1;
  }
}

/* Signals of a failed write, for the calling thread: the failure is told by errno. */
static void hold_signals(sigset_t *set, sigset_t *before) {
  sigemptyset(set);
  sigaddset(set, SIGXFSZ);
  sigaddset(set, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, set, before);
}

/* Takes back what came, and keeps errno. */
static void drop_signals(const sigset_t *set, const sigset_t *before, bool failed) {
  int error = errno;
  if (failed && (error == EFBIG || error == EPIPE)) sigtimedwait(set, NULL, &(struct timespec){0});
  pthread_sigmask(SIG_SETMASK, before, NULL);
  errno = error;
}

static ssize_t write_once(int fd, const char *bytes, size_t n, off_t at) {
  sigset_t set, before;
  hold_signals(&set, &before);
  ssize_t put = at < 0 ? write(fd, bytes, n) : pwrite(fd, bytes, n, at);
  drop_signals(&set, &before, put < 0);
  return put;
}

bool file_io_reserve(int fd, off_t size) {
  sigset_t set, before;
  hold_signals(&set, &before);
  int rc = fallocate(fd, 0, 0, size);
  drop_signals(&set, &before, rc != 0);
  return rc == 0 || (errno != ENOSPC && errno != EDQUOT && errno != EFBIG);
}

int file_io_truncate(int fd, off_t size) {
  sigset_t set, before;
  hold_signals(&set, &before);
  int rc = ftruncate(fd, size);
  drop_signals(&set, &before, rc != 0);
  return rc;
}

ssize_t file_io_copy(int from, off_t *at, int to, size_t n) {
  sigset_t set, before;
  hold_signals(&set, &before);
  ssize_t done = copy_file_range(from, at, to, NULL, n, 0);
  drop_signals(&set, &before, done < 0);
  return done;
}

size_t file_io_write(int fd, const void *bytes, size_t n, off_t at, FsStop *stop) {
  size_t done = 0;
  while (done < n) {
    if (atomic_load(stop)) {
      errno = ECANCELED;
      break;
    }
    size_t now = n - done < MOST ? n - done : MOST;
    ssize_t put = write_once(fd, (const char *)bytes + done, now, at < 0 ? at : at + (off_t)done);
    if (put > 0) {
      done += (size_t)put;
    } else if (put == 0) {
      errno = EIO; /* nothing written, and no reason given: it would go on for ever */
      break;
    } else if (errno == EAGAIN ? !wait_for(fd, POLLOUT, stop) : errno != EINTR) {
      break;
    }
  }
  return done;
}
