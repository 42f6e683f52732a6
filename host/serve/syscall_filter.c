#include "serve/syscall_filter.h"

#include <asm/ioctls.h>
#include <asm/socket.h>
#include <asm/sockios.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define MACHINE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define MACHINE AUDIT_ARCH_AARCH64
#endif

/* From here on: what came with Linux 5.18 and later, which is not in the lists below, and x32, the
   same calls with other numbers. Whoever makes a new call can do without it. */
#define NEWER_CALLS 451u

#ifndef MACHINE

bool syscall_filter_enter(const SyscallFilter *filter) {
  (void)filter;
  errno = ENOTSUP;
  return false;
}

#else

/* Not permitted, by what they do. */
static const uint16_t forbidden[] = {
    /* programs; and processes, which would go on with the listening sockets when this one ends */
    SYS_execve,
    SYS_execveat,
#ifdef __x86_64__
    SYS_fork,
    SYS_vfork,
#endif
/* other processes; the leak checker traces its own */
#ifndef __SANITIZE_ADDRESS__
    SYS_ptrace,
#endif
    SYS_process_vm_readv,
    SYS_process_vm_writev,
    SYS_kcmp,
    SYS_pidfd_getfd,
    /* how much of the processors others of the user get, the supervisor for one */
    SYS_ioprio_set,
    SYS_sched_setaffinity,
    SYS_sched_setattr,
    SYS_sched_setparam,
    SYS_sched_setscheduler,
    /* what Landlock does not ask about: whose a file is, who may use it, its times, and, before
       version 3, its length. By a descriptor all of it can be changed, and Landlock says what is
       opened. */
    SYS_fchmodat,
    SYS_fchownat,
    SYS_setxattr,
    SYS_lsetxattr,
    SYS_removexattr,
    SYS_lremovexattr,
    SYS_truncate,
#ifdef __x86_64__
    SYS_chmod,
    SYS_chown,
    SYS_lchown,
    SYS_utime,
    SYS_utimes,
    SYS_futimesat,
#endif
    /* memory and queues of other processes of the user */
    SYS_shmget,
    SYS_shmat,
    SYS_shmctl,
    SYS_semget,
    SYS_semop,
    SYS_semtimedop,
    SYS_semctl,
    SYS_msgget,
    SYS_msgsnd,
    SYS_msgrcv,
    SYS_msgctl,
    SYS_mq_open,
    SYS_mq_unlink,
    /* mounts and namespaces */
    SYS_mount,
    SYS_umount2,
    SYS_pivot_root,
    SYS_chroot,
    SYS_move_mount,
    SYS_open_tree,
    SYS_fsopen,
    SYS_fsconfig,
    SYS_fsmount,
    SYS_fspick,
    SYS_mount_setattr,
    SYS_unshare,
    SYS_setns,
    /* the kernel */
    SYS_init_module,
    SYS_finit_module,
    SYS_delete_module,
    SYS_kexec_load,
    SYS_bpf,
    SYS_perf_event_open,
    SYS_userfaultfd,
    SYS_add_key,
    SYS_keyctl,
    SYS_request_key,
    SYS_open_by_handle_at,
    SYS_personality,
    /* the machine */
    SYS_reboot,
    SYS_swapon,
    SYS_swapoff,
    SYS_sethostname,
    SYS_setdomainname,
    SYS_acct,
    SYS_quotactl,
    SYS_quotactl_fd,
    SYS_fanotify_init,
    SYS_fanotify_mark,
    SYS_vhangup,
    SYS_lookup_dcookie,
    SYS_settimeofday,
    SYS_clock_settime,
    SYS_clock_adjtime,
    SYS_adjtimex,
    SYS_syslog,
#ifdef __x86_64__
    SYS_kexec_file_load,
    SYS_iopl,
    SYS_ioperm,
    SYS_modify_ldt,
#endif
};

/* Said not to exist, so that others take their place. clone3 cannot be looked at: its arguments
   are in memory. Of the rest, nothing that is linked in has a use, and kernels have had holes. */
static const uint16_t unknown[] = {
    SYS_clone3,           SYS_io_uring_setup, SYS_io_uring_enter, SYS_io_uring_register,
    SYS_io_setup,         SYS_splice,         SYS_vmsplice,       SYS_tee,
    SYS_remap_file_pages, SYS_move_pages,     SYS_migrate_pages,
};

/* Those whose addresses are of the network, of Unix, or of the kernel, which says which networks
   there are; and what is spoken there: 0 is the usual one. The kernel has other protocols with the
   numbers of TCP and UDP. */
static const uint16_t families[] = {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK};
static const uint16_t protocols[] = {0, IPPROTO_TCP, IPPROTO_UDP};
static const uint16_t of_kernel[] = {NETLINK_ROUTE};

/* To type into a terminal in the name of who sits there, what else the console does, and to load
   what the kernel has for lines. */
static const uint16_t terminal[] = {TIOCSTI, TIOCLINUX, TIOCSETD};

/* To send a signal; those that name a process first, and others, of which the C library makes
   none. */
static const uint16_t signals[] = {SYS_kill, SYS_tgkill, SYS_rt_sigqueueinfo,
                                   SYS_rt_tgsigqueueinfo};
static const uint16_t unnamed_signals[] = {SYS_tkill, SYS_pidfd_send_signal};

/* To have the kernel send one, any, to whoever is said to own a socket. */
static const uint16_t owner[] = {F_SETOWN, F_SETOWN_EX};
static const uint16_t owner_of_socket[] = {FIOSETOWN, SIOCSPGRP};

/* Programs for the kernel that choose what comes to a socket. */
static const uint16_t programs[] = {SO_ATTACH_FILTER, SO_LOCK_FILTER, SO_ATTACH_BPF,
                                    SO_ATTACH_REUSEPORT_CBPF, SO_ATTACH_REUSEPORT_EBPF};

/* What is done to a descriptor, and can last on a listening socket when this process has ended. */
static const uint16_t lasting[] = {
    SYS_shutdown, SYS_connect, SYS_listen, SYS_bind, SYS_setsockopt, SYS_dup, SYS_dup3,
#ifdef __x86_64__
    SYS_dup2,
#endif
    SYS_fcntl,    SYS_ioctl,
};

/* How descriptors are received, and with them another number of the same socket. */
static const uint16_t receiving[] = {SYS_recvmsg, SYS_recvmmsg};

#define NAMESPACES                                                                                 \
  (CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS |       \
   CLONE_NEWCGROUP)

#define COUNT(list) (sizeof(list) / sizeof *(list))

/* What is read of a call, by its place; arguments are looked at in their lower halves, which are
   all that the kernel takes of these. */
#define NUMBER (uint32_t) offsetof(struct seccomp_data, nr)
#define ARCHITECTURE (uint32_t) offsetof(struct seccomp_data, arch)
#define ARGUMENT(i) (uint32_t)(offsetof(struct seccomp_data, args) + 8 * (i))

#define REFUSE(error) (SECCOMP_RET_ERRNO | (error))

enum {
  MOST = 2 * (COUNT(forbidden) + COUNT(unknown) + COUNT(families) + COUNT(protocols)) + 200 +
         SYSCALL_FILTER_SHARED_MAX
};

typedef struct Program {
  struct sock_filter list[MOST];
  unsigned short n;
} Program;

static void add(Program *p, uint16_t code, uint32_t k, uint8_t yes, uint8_t no) {
  p->list[p->n++] = (struct sock_filter){code, yes, no, k};
}

static void load(Program *p, uint32_t place) { add(p, BPF_LD | BPF_W | BPF_ABS, place, 0, 0); }

static void end(Program *p, uint32_t result) { add(p, BPF_RET | BPF_K, result, 0, 0); }

/* The next instruction is passed over unless the value that was loaded is `k`. */
static void if_is(Program *p, uint32_t k) { add(p, BPF_JMP | BPF_JEQ | BPF_K, k, 0, 1); }

static void refuse_all(Program *p, const uint16_t *calls, size_t n, uint32_t result) {
  for (size_t i = 0; i < n; i++) {
    if_is(p, calls[i]);
    end(p, result);
  }
}

/* The rules for one call, or what else was loaded, of `n` instructions, which end in a result. */
static void only_for(Program *p, uint32_t value, uint8_t n) {
  add(p, BPF_JMP | BPF_JEQ | BPF_K, value, 0, n);
}

/* Fails unless the argument is one of the `n` in the list; n + 2 instructions. */
static void expect(Program *p, unsigned argument, const uint16_t *list, uint8_t n,
                   uint32_t result) {
  load(p, ARGUMENT(argument));
  for (uint8_t i = 0; i < n; i++) add(p, BPF_JMP | BPF_JEQ | BPF_K, list[i], (uint8_t)(n - i), 0);
  end(p, result);
}

static void add_sockets(Program *p, uint32_t call) {
  only_for(p, call, COUNT(families) + COUNT(of_kernel) + COUNT(protocols) + 9);
  expect(p, 0, families, COUNT(families), REFUSE(EAFNOSUPPORT));
  only_for(p, AF_NETLINK, COUNT(of_kernel) + 3);
  expect(p, 2, of_kernel, COUNT(of_kernel), REFUSE(EPROTONOSUPPORT));
  end(p, SECCOMP_RET_ALLOW);
  expect(p, 2, protocols, COUNT(protocols), REFUSE(EPROTONOSUPPORT));
  end(p, SECCOMP_RET_ALLOW);
}

/* Threads only; the leak checker looks from a process of its own. */
static void add_clone(Program *p) {
#ifdef __SANITIZE_ADDRESS__
  const uint32_t wanted = CLONE_VM;
#else
  const uint32_t wanted = CLONE_THREAD;
#endif
  only_for(p, SYS_clone, 5);
  load(p, ARGUMENT(0));
  add(p, BPF_JMP | BPF_JSET | BPF_K, NAMESPACES, 1, 0);
  add(p, BPF_JMP | BPF_JSET | BPF_K, wanted, 1, 0);
  end(p, REFUSE(EPERM));
  end(p, SECCOMP_RET_ALLOW);
}

/* The first argument, a process, has to be this one. */
static void only_of(Program *p, uint32_t call, uint32_t process) {
  only_for(p, call, 4);
  load(p, ARGUMENT(0));
  add(p, BPF_JMP | BPF_JEQ | BPF_K, process, 1, 0);
  end(p, REFUSE(EPERM));
  end(p, SECCOMP_RET_ALLOW);
}

/* The second argument, what is to be done, must not be one of these. */
static void refuse_orders(Program *p, uint32_t call, const uint16_t *list, uint8_t n) {
  only_for(p, call, (uint8_t)(2 * n + 2));
  load(p, ARGUMENT(1));
  refuse_all(p, list, n, REFUSE(EPERM));
  load(p, NUMBER);
}

/* Before Linux 6.12, Landlock does not ask about signals, and the supervisor has the same user. */
static void add_signals(Program *p) {
  for (size_t i = 0; i < COUNT(signals); i++) only_of(p, signals[i], (uint32_t)getpid());
  refuse_all(p, unnamed_signals, COUNT(unnamed_signals), REFUSE(EPERM));
  refuse_orders(p, SYS_fcntl, owner, COUNT(owner));
  refuse_orders(p, SYS_ioctl, owner_of_socket, COUNT(owner_of_socket));
}

/* Both have to be 0. */
static void only_zero(Program *p, uint32_t call, uint32_t one, uint32_t other) {
  only_for(p, call, 6);
  load(p, one);
  add(p, BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 2);
  load(p, other);
  add(p, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0);
  end(p, REFUSE(EPERM));
  end(p, SECCOMP_RET_ALLOW);
}

static void add_programs(Program *p) {
  only_for(p, SYS_setsockopt, 2 * COUNT(programs) + 4);
  load(p, ARGUMENT(1));
  add(p, BPF_JMP | BPF_JEQ | BPF_K, SOL_SOCKET, 0, 2 * COUNT(programs) + 1);
  load(p, ARGUMENT(2));
  refuse_all(p, programs, COUNT(programs), REFUSE(EPERM));
  load(p, NUMBER);
}

/* A shared socket: what may still be done to it. 15 instructions. */
static void add_what_is_left(Program *p) {
  load(p, NUMBER);
  if_is(p, SYS_ioctl);
  end(p, REFUSE(ENOTTY)); /* libuv takes fcntl then */
  add(p, BPF_JMP | BPF_JEQ | BPF_K, SYS_fcntl, 1, 0);
  end(p, REFUSE(EPERM));
  load(p, ARGUMENT(1));
  add(p, BPF_JMP | BPF_JEQ | BPF_K, F_SETFL, 0, 3);
  load(p, ARGUMENT(2));
  add(p, BPF_JMP | BPF_JSET | BPF_K, O_NONBLOCK, 5, 0);
  end(p, REFUSE(EPERM));
  add(p, BPF_JMP | BPF_JEQ | BPF_K, F_GETFL, 3, 0);
  add(p, BPF_JMP | BPF_JEQ | BPF_K, F_GETFD, 2, 0);
  add(p, BPF_JMP | BPF_JEQ | BPF_K, F_SETFD, 1, 0);
  end(p, REFUSE(EPERM));
  end(p, SECCOMP_RET_ALLOW);
}

/* A socket that others listen on, too, must not be changed for them. It is known by its number, so
   it gets no second one. */
static void add_shared(Program *p, const SyscallFilter *filter) {
  const uint8_t n = (uint8_t)filter->n_shared, calls = COUNT(lasting), left = 15;
  if (!n) return;
  refuse_all(p, receiving, COUNT(receiving), REFUSE(EPERM));
  for (uint8_t i = 0; i < calls; i++)
    add(p, BPF_JMP | BPF_JEQ | BPF_K, lasting[i], (uint8_t)(calls - i), 0);
  add(p, BPF_JMP | BPF_JA, 2u + n + left, 0, 0);
  load(p, ARGUMENT(0));
  for (uint8_t i = 0; i < n; i++)
    add(p, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)filter->shared[i], (uint8_t)(n - i), 0);
  add(p, BPF_JMP | BPF_JA, left, 0, 0);
  add_what_is_left(p);
  load(p, NUMBER);
}

bool syscall_filter_enter(const SyscallFilter *filter) {
  Program p = {.n = 0};
  load(&p, ARCHITECTURE);
  add(&p, BPF_JMP | BPF_JEQ | BPF_K, MACHINE, 1, 0);
  end(&p, SECCOMP_RET_KILL_PROCESS); /* calls of another machine have other numbers */
  load(&p, NUMBER);
  add(&p, BPF_JMP | BPF_JGE | BPF_K, NEWER_CALLS, 0, 1);
  end(&p, REFUSE(ENOSYS));
  add_shared(&p, filter);
  refuse_all(&p, forbidden, COUNT(forbidden), REFUSE(EPERM));
  refuse_all(&p, unknown, COUNT(unknown), REFUSE(ENOSYS));
  add_sockets(&p, SYS_socket);
  add_sockets(&p, SYS_socketpair);
  add_clone(&p);
  add_programs(&p);
  only_zero(&p, SYS_utimensat, ARGUMENT(1), ARGUMENT(1) + 4); /* no path: of a descriptor */
  only_zero(&p, SYS_setpriority, ARGUMENT(0), ARGUMENT(1));   /* PRIO_PROCESS: of this thread */
  only_of(&p, SYS_prlimit64, 0);                              /* it limits itself */
  refuse_orders(&p, SYS_ioctl, terminal, COUNT(terminal));
  if (!filter->signals_others) add_signals(&p);
  end(&p, SECCOMP_RET_ALLOW);
  struct sock_fprog program = {p.n, p.list};
  /* Not seccomp(2), which is not in what systemd calls @system-service. */
  return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

#endif
