#include "base/descriptor_limit.h"

#include <sys/resource.h>

#define MOST_DESCRIPTORS (1 << 20) /* used if the hard limit is infinite, or nearly so */

void descriptor_limit_raise(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit)) return;
  limit.rlim_cur = limit.rlim_max < MOST_DESCRIPTORS ? limit.rlim_max : MOST_DESCRIPTORS;
  setrlimit(RLIMIT_NOFILE, &limit);
}
