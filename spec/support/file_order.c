/* file_order: an LD_PRELOAD library that writes down in which order files are put on the disk and
   get their names. Test-only.

   FILE_ORDER names a file, which gets a line for each call that succeeds: "sync NAME BYTES", with
   the size that the file has by then; "sync NAME" of a folder; "name OLD NEW". The names are
   without their folders. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void say(const char *format, ...) {
  const char *path = getenv("FILE_ORDER");
  int before = errno, fd = path ? open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600) : -1;
  va_list args;
  va_start(args, format);
  if (fd >= 0) vdprintf(fd, format, args);
  va_end(args);
  if (fd >= 0) close(fd);
  errno = before;
}

static const char *last(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash ? slash + 1 : path;
}

__attribute__((visibility("default"))) int fsync(int fd) {
  int rc = REAL(fsync)(fd);
  char link[64], path[PATH_MAX] = "";
  struct stat about;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  if (rc || readlink(link, path, sizeof path - 1) < 0 || fstat(fd, &about)) return rc;
  if (S_ISDIR(about.st_mode))
    say("sync %s\n", last(path));
  else
    say("sync %s %lld\n", last(path), (long long)about.st_size);
  return rc;
}

static int named(int rc, const char *from, const char *to) {
  if (!rc) say("name %s %s\n", last(from), last(to));
  return rc;
}

__attribute__((visibility("default"))) int rename(const char *from, const char *to) {
  return named(REAL(rename)(from, to), from, to);
}

__attribute__((visibility("default"))) int link(const char *from, const char *to) {
  return named(REAL(link)(from, to), from, to);
}

__attribute__((visibility("default"))) int renameat2(int in, const char *from, int into,
                                                     const char *to, unsigned flags) {
  return named(REAL(renameat2)(in, from, into, to, flags), from, to);
}
