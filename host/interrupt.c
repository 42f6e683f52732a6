#include "interrupt.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* The signal handler is told nothing else. */
static _Thread_local Runtime *runs_here;

static void hook(lua_State *L, lua_Debug *ar) {
  Runtime *rt = runtime_of(L);
  UserHook *user = &rt->user_hook;
  if (user->of == L)
    lua_sethook(L, user->hook, user->mask, user->count);
  else
    lua_sethook(L, NULL, 0, 0);
  user->of = NULL;
  for (Interrupt *i = rt->interrupts, *next; i; i = next) {
    next = i->next;
    i->act(i, L, ar);
  }
}

void interrupt_arm(lua_State *L, int count) {
  UserHook *user = &runtime_of(L)->user_hook;
  lua_Hook set = lua_gethook(L);
  if (set && set != hook && !user->of) {
    user->hook = set;
    user->mask = lua_gethookmask(L);
    user->count = lua_gethookcount(L);
    user->of = L;
  }
  lua_sethook(L, hook, LUA_MASKCOUNT, count);
}

bool interrupt_is_armed(lua_State *L) { return lua_gethook(L) == hook; }

static void on_signal(int number) {
  (void)number;
  int saved = errno;
  Runtime *rt = runs_here;
  bool wanted = false;
  for (Interrupt *i = rt ? rt->interrupts : NULL; i; i = i->next)
    if (i->wanted(i, rt)) wanted = true;
  /* Also where it is set already: a signal in the middle of an instruction can miss its effect. */
  if (wanted && rt->current && rt->running) interrupt_arm(rt->running, 1);
  errno = saved;
}

static void install_handler(void) {
  struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
  sigemptyset(&action.sa_mask);
  sigaction(INTERRUPT_SIGNAL, &action, NULL);
}

void interrupt_add(Runtime *rt, Interrupt *interrupt) {
  static uv_once_t once = UV_ONCE_INIT;
  uv_once(&once, install_handler);
  interrupt->next = rt->interrupts;
  rt->interrupts = interrupt;
}

void interrupt_remove(Runtime *rt, Interrupt *interrupt) {
  for (Interrupt **link = &rt->interrupts; *link; link = &(*link)->next) {
    if (*link != interrupt) continue;
    *link = interrupt->next;
    return;
  }
}

bool interrupt_timer_new(timer_t *timer) {
  struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = INTERRUPT_SIGNAL};
  event._sigev_un._tid = gettid();
  return timer_create(CLOCK_MONOTONIC, &event, timer) == 0;
}

Runtime *interrupt_enter(Runtime *rt) {
  Runtime *before = runs_here;
  atomic_store_explicit(&rt->thread, pthread_self(), memory_order_relaxed);
  runs_here = rt;
  return before;
}

void interrupt_leave(Runtime *before) { runs_here = before; }
