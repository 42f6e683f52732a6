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
   then are delivered at once.

   To deliver what it held back, libtsan clears its mark, then blocks all signals and keeps the mask
   it found, in one place for each thread (GCC 12, ProcessPendingSignals). A signal that comes
   between the two sets the mark again; a wrapper that the handler calls then delivers that one
   within, finds all signals blocked, keeps this as the mask to restore, and the thread gets no
   signal any more. So a signal that comes within libtsan, or on the way into pthread_sigmask, is
   sent again a little later. */
#include <setjmp.h>

#ifdef __SANITIZE_THREAD__
#include <lualib.h>

#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <link.h>
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

static SignalHandler *volatile holds_back; /* libtsan's, one for all signals; first set by the
                                              thread that starts the program */

static KernelAction kernel_get(int number) {
  KernelAction action = {0};
  syscall(SYS_rt_sigaction, number, NULL, &action, sizeof action.mask);
  return action;
}

/* Machine code from `start` up to `end`. */
typedef struct Code {
  uintptr_t start, end;
} Code;

static Code libtsan, lua, sets_mask; /* two whole libraries; libc's pthread_sigmask */

/* Not instrumented, as all that on_signal calls: it can run in the middle of libtsan. */
__attribute__((no_sanitize_thread)) static bool is_in(Code code, const ucontext_t *context) {
#if defined __x86_64__
  uintptr_t at = (uintptr_t)context->uc_mcontext.gregs[REG_RIP];
#elif defined __aarch64__
  uintptr_t at = (uintptr_t)context->uc_mcontext.pc;
#else
  uintptr_t at = 0;
#endif
  return at >= code.start && at < code.end;
}

static int find_libtsan(struct dl_phdr_info *object, size_t size, void *inside) {
  (void)size;
  for (int i = 0; i < object->dlpi_phnum; i++) {
    const ElfW(Phdr) *part = &object->dlpi_phdr[i];
    uintptr_t start = object->dlpi_addr + part->p_vaddr;
    if (part->p_type != PT_LOAD || !(part->p_flags & PF_X)) continue;
    if ((uintptr_t)inside < start || (uintptr_t)inside >= start + part->p_memsz) continue;
    libtsan = (Code){start, start + part->p_memsz};
  }
  return 0;
}

/* The files of Lua lie side by side, in an order that depends on who needs them. The opener of a
   library is the last function of its file. */
static void find_lua(void) {
  const lua_CFunction openers[] = {
      luaopen_base, luaopen_coroutine, luaopen_debug,  luaopen_io,    luaopen_math,
      luaopen_os,   luaopen_package,   luaopen_string, luaopen_table, luaopen_utf8};
  lua = (Code){(uintptr_t)lua_checkstack, (uintptr_t)luaL_openlibs};
  for (size_t i = 0; i < sizeof openers / sizeof *openers; i++)
    if ((uintptr_t)openers[i] > lua.end) lua.end = (uintptr_t)openers[i];
}

static void find_code(void) {
  Dl_info info;
  const ElfW(Sym) *symbol = NULL;
  find_lua();
  dl_iterate_phdr(find_libtsan, (void *)holds_back);
  void *libc = dlopen("libc.so.6", RTLD_LAZY | RTLD_NOLOAD);
  void *at = libc ? dlsym(libc, "pthread_sigmask") : NULL;
  if (at && dladdr1(at, &info, (void **)&symbol, RTLD_DL_SYMENT) && symbol)
    sets_mask = (Code){(uintptr_t)at, (uintptr_t)at + symbol->st_size};
}

/* How many times in a row each signal of this thread came at a bad moment and was sent again. Its
   address marks the timers that do so. */
static _Thread_local volatile unsigned char again[_NSIG];
static _Thread_local siginfo_t first_info[_NSIG]; /* of the first time */

/* Then it is handed over: a thread that frees or compares much is in libtsan nearly always, but
   hardly ever in those few instructions. */
#define MOST_AGAIN 200

/* One timer at most for each signal: with more, the thread would do nothing else. */
__attribute__((no_sanitize_thread)) static bool send_again(int number) {
  struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = number};
  struct itimerspec soon = {.it_value = {.tv_nsec = 50000}};
  timer_t timer;
  event._sigev_un._tid = (pid_t)gettid();
  event.sigev_value.sival_ptr = (void *)again;
  if (timer_create(CLOCK_MONOTONIC, &event, &timer) != 0) return false;
  again[number]++;
  timer_settime(timer, 0, &soon, NULL);
  return true;
}

/* Is the signal left out now, since it comes again? Faults come where they come. */
__attribute__((no_sanitize_thread)) static bool comes_again(int number, const siginfo_t *info,
                                                            const ucontext_t *context) {
  bool is_again = info->si_code == SI_TIMER && info->si_ptr == (void *)again;
  if (is_again) timer_delete((timer_t)(intptr_t)info->si_timerid);
  if (number == SIGSEGV || number == SIGBUS) return false;
  if (again[number] > 0 && !is_again) return true;
  if (!is_again) first_info[number] = *info;
  if (again[number] < MOST_AGAIN && (is_in(libtsan, context) || is_in(sets_mask, context)))
    return send_again(number);
  return false;
}

__attribute__((no_sanitize_thread)) static void on_signal(int number, siginfo_t *info,
                                                          void *context) {
  int saved = errno;
  if (comes_again(number, info, context)) {
    errno = saved;
    return;
  }
  if (again[number] > 0) info = &first_info[number];
  again[number] = 0;
  holds_back(number, info, context);
  if (is_in(lua, context)) {
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
  if (rc == 0 && is_handled && !holds_back) {
    holds_back = kernel_get(number).handler;
    find_code();
  }
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
