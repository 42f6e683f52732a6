#include "base/descriptor_limit.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/resource.h>
#include <unistd.h>

#define MOST_DESCRIPTORS (1 << 20) /* used if the hard limit is infinite, or nearly so */

enum { KEPT_SHARE = 8, MOST_KEPT = 128 };

void descriptor_limit_raise(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit)) return;
  limit.rlim_cur = limit.rlim_max < MOST_DESCRIPTORS ? limit.rlim_max : MOST_DESCRIPTORS;
  setrlimit(RLIMIT_NOFILE, &limit);
}

/* All but a part of what is kept. */
static int all_but(int part) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur > INT_MAX) return INT_MAX;
  int all = (int)limit.rlim_cur, kept = all / KEPT_SHARE < MOST_KEPT ? all / KEPT_SHARE : MOST_KEPT;
  return all - kept / part;
}

int descriptor_limit_of_clients(void) { return all_but(1); }

int descriptor_limit_of_files(void) { return all_but(2); }

bool descriptor_limit_has_below(int most, int open) {
  int next = fcntl(open, F_DUPFD_CLOEXEC, 0);
  if (next < 0) return false;
  close(next);
  return next < most;
}
