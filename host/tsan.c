/* For ThreadSanitizer builds only.

   Debian's Lua calls __longjmp_chk, which libtsan does not know:
   each error and each yield would leave its frames on the sanitizer's own stack, which grows and
   slows everything down. longjmp itself it does know.

   libuv closes descriptors by a bare system call, which libtsan does not see. When another thread's
   loop gets the number again, that looks like two threads that make one descriptor: seen when
   workers' states are replaced. The kernel gives no number twice, so these calls cannot race; no
   memory but libtsan's own record of the descriptor is touched below them. They go by the names of
   libtsan's wrappers, which its reports show without the "interceptor_". */
#include <setjmp.h>

#ifdef __SANITIZE_THREAD__
_Noreturn void __longjmp_chk(struct __jmp_buf_tag env[1], int value);
void __longjmp_chk(struct __jmp_buf_tag env[1], int value) { longjmp(env, value); }

const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void) {
  return "race:interceptor_eventfd$\nrace:interceptor_pipe2$\nrace:interceptor_epoll_create1$\n";
}
#else
typedef int nothing_here; /* ISO C wants something */
#endif
