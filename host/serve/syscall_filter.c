#include "serve/syscall_filter.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define MACHINE AUDIT_ARCH_X86_64
#define OTHER_CALLS 0x40000000u /* from here on: x32, the same calls with other numbers */
#elif defined(__aarch64__)
#define MACHINE AUDIT_ARCH_AARCH64
#define OTHER_CALLS 0xffffffffu
#endif

#ifndef MACHINE

bool syscall_filter_enter(void) {
  errno = ENOTSUP;
  return false;
}

#else

/* Not permitted, by what they do. */
static const uint16_t forbidden[] = {
    /* programs */
    SYS_execve,
    SYS_execveat,
/* other processes; the leak checker traces its own */
#ifndef __SANITIZE_ADDRESS__
    SYS_ptrace,
#endif
    SYS_process_vm_readv,
    SYS_process_vm_writev,
    SYS_kcmp,
    SYS_pidfd_getfd,
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
   are in memory. */
static const uint16_t unknown[] = {SYS_clone3, SYS_io_uring_setup, SYS_io_uring_enter,
                                   SYS_io_uring_register};

/* Those whose addresses are of the network, of Unix, or of the kernel, which says which networks
   there are. */
static const uint16_t families[] = {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK};

#define NAMESPACES                                                                                 \
  (CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS |       \
   CLONE_NEWCGROUP)

#define COUNT(list) (sizeof(list) / sizeof *(list))

/* What is read of a call, by its place; arguments are looked at in their lower halves, which are
   all that the kernel takes of these two. */
#define NUMBER (uint32_t) offsetof(struct seccomp_data, nr)
#define ARCHITECTURE (uint32_t) offsetof(struct seccomp_data, arch)
#define FIRST_ARGUMENT (uint32_t) offsetof(struct seccomp_data, args[0])

#define REFUSE(error) (SECCOMP_RET_ERRNO | (error))

enum { MOST = COUNT(forbidden) * 2 + COUNT(unknown) * 2 + COUNT(families) + 20 };

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

/* The rules for one call, of `n` instructions, which end in a result. */
static void only_for(Program *p, uint32_t call, uint8_t n) {
  add(p, BPF_JMP | BPF_JEQ | BPF_K, call, 0, n);
}

static void add_sockets(Program *p) {
  const uint8_t n = COUNT(families);
  only_for(p, SYS_socket, n + 3);
  load(p, FIRST_ARGUMENT);
  for (uint8_t i = 0; i < n; i++)
    add(p, BPF_JMP | BPF_JEQ | BPF_K, families[i], (uint8_t)(n - i), 0);
  end(p, REFUSE(EAFNOSUPPORT));
  end(p, SECCOMP_RET_ALLOW);
}

static void add_clone(Program *p) {
  only_for(p, SYS_clone, 4);
  load(p, FIRST_ARGUMENT);
  add(p, BPF_JMP | BPF_JSET | BPF_K, NAMESPACES, 0, 1);
  end(p, REFUSE(EPERM));
  end(p, SECCOMP_RET_ALLOW);
}

bool syscall_filter_enter(void) {
  Program p = {.n = 0};
  load(&p, ARCHITECTURE);
  add(&p, BPF_JMP | BPF_JEQ | BPF_K, MACHINE, 1, 0);
  end(&p, SECCOMP_RET_KILL_PROCESS); /* calls of another machine have other numbers */
  load(&p, NUMBER);
  add(&p, BPF_JMP | BPF_JGE | BPF_K, OTHER_CALLS, 0, 1);
  end(&p, REFUSE(ENOSYS));
  refuse_all(&p, forbidden, COUNT(forbidden), REFUSE(EPERM));
  refuse_all(&p, unknown, COUNT(unknown), REFUSE(ENOSYS));
  add_sockets(&p);
  add_clone(&p);
  end(&p, SECCOMP_RET_ALLOW);
  struct sock_fprog program = {p.n, p.list};
  return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0;
}

#endif
