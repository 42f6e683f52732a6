#include "serve/core_files.h"

#include <sys/prctl.h>

void core_files_allow(bool allowed) { prctl(PR_SET_DUMPABLE, allowed, 0, 0, 0); }
