/* The system calls that no app needs, and that a hostile one would begin with: seccomp(2). */
#ifndef ML_SYSCALL_FILTER_H
#define ML_SYSCALL_FILTER_H

#include <stdbool.h>

enum { SYSCALL_FILTER_SHARED_MAX = 65 };

typedef struct SyscallFilter {
  bool signals_others; /* other processes may be signalled */
  unsigned n_shared;   /* listening sockets that other processes have, too: */
  int shared[SYSCALL_FILTER_SHARED_MAX];
} SyscallFilter;

/* From now on this thread and those that it starts cannot execute programs or start processes, look
   into processes or change them, mount, make namespaces, load code into the kernel, use its
   keyrings, set clocks, priorities or the times of files by their paths, use io_uring, or make
   sockets other than those of IP and of Unix: such calls fail as not permitted. So do signals to
   others, unless they are allowed, and what would last on a shared socket: it is accepted on, asked
   and closed; with such, nothing is received with recvmsg, by which it could come back under
   another number. no_new_privs has to be set. False: the kernel refuses, and errno says why;
   ENOTSUP where the machine is none that is known here. */
bool syscall_filter_enter(const SyscallFilter *filter);

#endif
