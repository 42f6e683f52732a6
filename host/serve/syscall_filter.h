/* The system calls that no app needs, and that a hostile one would begin with: seccomp(2). */
#ifndef ML_SYSCALL_FILTER_H
#define ML_SYSCALL_FILTER_H

#include <stdbool.h>

/* From now on this thread, and those and the processes that it starts, cannot execute programs,
   look into processes or change them, mount, make namespaces, load code into the kernel, use its
   keyrings, set clocks, use io_uring, or make sockets other than those of IP and of Unix: such
   calls fail as not permitted. So do signals to others, unless `signals_others`. no_new_privs has
   to be set. False: the kernel refuses, and errno says why; ENOTSUP where the machine is none that
   is known here. */
bool syscall_filter_enter(bool signals_others);

#endif
