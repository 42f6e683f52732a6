/* What a crash leaves behind. A server has keys in its memory: those of its certificates, and
   those that the app was given; a core file has them all, and so has a report that a system makes
   of it. */
#ifndef ML_CORE_FILES_H
#define ML_CORE_FILES_H

#include <stdbool.h>

/* From now on core files are made of this process, and other processes of its user may look into
   it, or not (PR_SET_DUMPABLE, prctl(2)). A limit (RLIMIT_CORE) would not hold where the kernel
   hands cores to a program, and would be inherited by the programs that the app starts. To be
   called when the user does not change any more, which forbids them. */
void core_files_allow(bool allowed);

#endif
