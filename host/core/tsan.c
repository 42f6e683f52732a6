/* For ThreadSanitizer builds only.

   Debian's Lua calls __longjmp_chk of setjmp.h, which libtsan does not know, unlike longjmp: each
   error and each yield would leave its frames on the sanitizer's own stack, which grows and slows
   everything down.

   libuv closes descriptors with a bare system call, which libtsan does not see. When another thread
   gets the number again, that looks like two threads making the same descriptor. Here the call goes
   to close.

   libtsan holds signals back until the thread enters one of its wrappers, since it could be in the
   middle of its own bookkeeping. A loop in Lua enters none, and would never be interrupted. Lua is
   not instrumented, so while it runs, libtsan is not in the middle of anything: signals that come
   then are delivered at once. */
#include <setjmp.h>

#ifdef __SANITIZE_THREAD__
#include <lualib.h>

#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

_Noreturn void __longjmp_chk(struct __jmp_buf_tag env[1], int value);
void __longjmp_chk(struct __jmp_buf_tag env[1], int value) { longjmp(env, value); }

typedef long SystemCall(long number, long a, long b, long c, long d, long e, long f);

long syscall(long number, ...) {
  va_list args;
  va_start(args, number);
  long a[6];
  for (size_t i = 0; i < sizeof a / sizeof *a; i++) a[i] = va_arg(args, long);
  va_end(args);
  if (number == SYS_close) return close((int)a[0]);
  SystemCall *libc = (SystemCall *)dlsym(RTLD_NEXT, "syscall");
  return libc(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

/* --- signals --- */

typedef void SignalHandler(int number, siginfo_t *info, void *context);

/* The kernel's own record: libc's sigaction would come back to libtsan. */
typedef struct KernelAction {
  SignalHandler *handler;
  unsigned long flags;
  void (*restorer)(void);
  uint64_t mask;
} KernelAction;

int __interceptor_sigaction(int number, const struct sigaction *act, struct sigaction *old);

static SignalHandler *volatile holds_back; /* libtsan's, one for all signals */

static KernelAction kernel_get(int number) {
  KernelAction action = {0};
  syscall(SYS_rt_sigaction, number, NULL, &action, sizeof action.mask);
  return action;
}

/* Lua is linked whole and in the order of its archive, so it lies between two functions of its
   first and its last file. */
__attribute__((no_sanitize_thread)) static bool is_in_lua(const ucontext_t *context) {
#if defined __x86_64__
  uintptr_t at = (uintptr_t)context->uc_mcontext.gregs[REG_RIP];
#elif defined __aarch64__
  uintptr_t at = (uintptr_t)context->uc_mcontext.pc;
#else
  uintptr_t at = 0;
#endif
  return at >= (uintptr_t)lua_checkstack && at < (uintptr_t)luaL_openlibs;
}

/* Not instrumented: it can run in the middle of libtsan. */
__attribute__((no_sanitize_thread)) static void on_signal(int number, siginfo_t *info,
                                                          void *context) {
  int saved = errno;
  holds_back(number, info, context);
  if (is_in_lua(context)) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now); /* any function with a wrapper */
  }
  errno = saved;
}

/* Replaces `from` by `to` if it is set. */
static void replace(int number, SignalHandler *from, SignalHandler *to) {
  KernelAction action = kernel_get(number);
  if (action.handler != from) return;
  action.handler = to;
  syscall(SYS_rt_sigaction, number, &action, NULL, sizeof action.mask);
}

int sigaction(int number, const struct sigaction *act, struct sigaction *old) {
  replace(number, on_signal, holds_back); /* libtsan knows its own, and what it stands for */
  int rc = __interceptor_sigaction(number, act, old);
  bool is_handled = act && act->sa_handler != SIG_IGN && act->sa_handler != SIG_DFL;
  if (rc == 0 && is_handled) holds_back = kernel_get(number).handler;
  if (holds_back) replace(number, holds_back, on_signal);
  return rc;
}

__sighandler_t signal(int number, __sighandler_t handler) {
  struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART}, old;
  return sigaction(number, &action, &old) == 0 ? old.sa_handler : SIG_ERR;
}
#else
typedef int nothing_here; /* ISO C wants something */
#endif
