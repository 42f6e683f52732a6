#include "descriptor_limit.h"

#include <sys/resource.h>

#define MOST_DESCRIPTORS (1 << 20) /* where the hard limit is none, or as good as none */

void descriptor_limit_raise(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit)) return;
  limit.rlim_cur = limit.rlim_max < MOST_DESCRIPTORS ? limit.rlim_max : MOST_DESCRIPTORS;
  setrlimit(RLIMIT_NOFILE, &limit);
}
