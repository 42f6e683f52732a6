#include "core/interrupt.h"

#include "core/runtime.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* All that the signal handler gets. */
static _Thread_local Runtime *runs_here;

static void hook(lua_State *L, lua_Debug *ar);

/* --- setting --- */

/* Sets a hook on L, and keeps the signal handler from doing so in between, which would leave one
   hook with the events of another. */
static void set(Interrupts *all, lua_State *L, lua_Hook f, int mask, int count) {
  all->setting = true;
  atomic_signal_fence(memory_order_seq_cst);
  lua_sethook(L, f, mask, count);
  atomic_signal_fence(memory_order_seq_cst);
  all->setting = false;
}

/* The signal handler ran in between: does what it would have done. */
static void catch_up(Runtime *rt) {
  if (!rt->interrupts.missed) return;
  rt->interrupts.missed = false;
  if (rt->scheduler.current && rt->scheduler.running) interrupt_arm(rt->scheduler.running, 1);
}

static ForeignHook *find_foreign(Interrupts *all, lua_State *L) {
  if (!all->next_foreign) return NULL; /* there has been none */
  for (int i = 0; i < FOREIGN_HOOKS; i++)
    if (all->foreign[i].of == L) return &all->foreign[i];
  return NULL;
}

/* Keeps the hook of L that is not the host's while the host's replaces it. While the host acts,
   that hook was set until now. */
static void keep_foreign(Interrupts *all, lua_State *L) {
  ForeignHook *kept = find_foreign(all, L);
  lua_Hook f = lua_gethook(L);
  int count = lua_gethookcount(L);
  if (!f && kept) kept->of = NULL; /* it is gone */
  if (!f || f == hook || (kept && all->acting)) return;
  if (!kept) kept = &all->foreign[all->next_foreign++ % FOREIGN_HOOKS];
  *kept =
      (ForeignHook){L, {.foreign = f, .mask = lua_gethookmask(L), .count = count, .left = count}};
}

void interrupt_arm(lua_State *L, int count) {
  Runtime *rt = runtime_of(L);
  Interrupts *all = &rt->interrupts;
  if (all->setting) {
    all->missed = true;
    return;
  }
  keep_foreign(all, L);
  set(all, L, hook, lua_gethookmask(L) | LUA_MASKCOUNT, count);
  catch_up(rt);
}

bool interrupt_is_armed(lua_State *L) {
  return lua_gethook(L) == hook && lua_gethookmask(L) & LUA_MASKCOUNT;
}

bool interrupt_has_foreign_hook(lua_State *L) {
  lua_Hook f = lua_gethook(L);
  return f && (f != hook || find_foreign(&runtime_of(L)->interrupts, L));
}

void interrupt_set_user_hook(lua_State *L, int mask, int count) {
  Runtime *rt = runtime_of(L);
  Interrupts *all = &rt->interrupts;
  bool armed = interrupt_is_armed(L);
  ForeignHook *foreign = find_foreign(all, L);
  if (foreign) foreign->of = NULL;
  UserHook user = {.mask = mask, .left = count};
  set(all, L, mask ? hook : NULL, mask, user_hook_chunk(&user));
  if (armed) interrupt_arm(L, 1);
  catch_up(rt);
}

/* --- the hook --- */

/* Pushes the record of the user's hook of L, or nothing for a foreign one; NULL if there is
   none. */
static UserHook *push_user(Interrupts *all, lua_State *L) {
  ForeignHook *foreign = find_foreign(all, L);
  return foreign ? &foreign->user : user_hook_push(L);
}

/* Restores the hook that L has when nothing interrupts. */
static void restore(Runtime *rt, lua_State *L) {
  Interrupts *all = &rt->interrupts;
  int top = lua_gettop(L);
  const UserHook *user = push_user(all, L);
  if (!user) {
    set(all, L, NULL, 0, 0);
  } else if (user->foreign) {
    set(all, L, user->foreign, user->mask, user->count);
  } else {
    int count = user_hook_chunk(user);
    if (lua_gethookmask(L) != user->mask || lua_gethookcount(L) != count)
      set(all, L, hook, user->mask, count);
  }
  lua_settop(L, top);
}

void interrupt_disarm(lua_State *L) {
  if (lua_gethook(L) == hook) restore(runtime_of(L), L);
}

static void act(Runtime *rt, lua_State *L, lua_Debug *ar, bool at_first) {
  Interrupts *all = &rt->interrupts;
  all->at_line = false;
  all->at_first = at_first;
  all->acting = true;
  for (Interrupt *i = all->first, *next; i; i = next) {
    next = i->next;
    i->act(i, L, ar);
  }
  all->acting = false;
}

/* Instructions have been counted: must the user's hook be called? */
static bool is_count_over(lua_State *L, UserHook *user) {
  if (!(user->mask & LUA_MASKCOUNT)) return false;
  user->left -= lua_gethookcount(L);
  if (user->left > 0) return false;
  user->left = user->count;
  return true;
}

/* A function was called. False if the hook was already told. */
static bool is_news(UserHook *user) {
  bool repeated = user->repeats;
  user->repeats = false;
  return !repeated;
}

/* The hook of all threads of this runtime, except those set by C modules. It calls the user's hook,
   and acts at the events that may be the host's. The host's hook stays set while the user's runs,
   so it is called again if the user's raises. */
static void hook(lua_State *L, lua_Debug *ar) {
  Runtime *rt = runtime_of(L);
  int top = lua_gettop(L);
  rt->interrupts.acting = false; /* still true if an act has raised */
  UserHook *user = push_user(&rt->interrupts, L);
  bool at_first = user && user->entered == ar->i_ci, counts = ar->event == LUA_HOOKCOUNT;
  if (user) {
    bool calls = ar->event == LUA_HOOKCALL || ar->event == LUA_HOOKTAILCALL;
    /* The event for the line of a first instruction comes after that for the count. */
    if (!counts || !(lua_gethookmask(L) & LUA_MASKLINE)) user->entered = NULL;
    if (counts ? is_count_over(L, user) : !calls || is_news(user)) {
      user_hook_call(L, ar, user);
      if (calls) user->entered = ar->i_ci;
    }
  }
  lua_settop(L, top);
  if (counts || !user) restore(rt, L);
  if (counts || (ar->event == LUA_HOOKLINE && rt->interrupts.at_line)) act(rt, L, ar, at_first);
}

/* The act must be called again at the next line or count event. */
static bool later(Interrupts *all, lua_State *L, bool at_line) {
  all->at_line = at_line;
  interrupt_arm(L, 1);
  return false;
}

bool interrupt_may_yield(lua_State *L, lua_Debug *ar) {
  Interrupts *all = &runtime_of(L)->interrupts;
  ForeignHook *foreign = find_foreign(all, L);
  bool at_line = ar->event == LUA_HOOKLINE;
  int top = lua_gettop(L), mask = lua_gethookmask(L);
  UserHook *user = push_user(all, L);
  lua_settop(L, top); /* it stays in use as the hook of L */
  if (!user) return !at_line;
  if (mask & LUA_MASKLINE && !at_line) return later(all, L, true);
  /* If it continues before the first instruction of a function, Lua reports the call again. The
     call of a vararg function is reported after its first instruction. */
  if (!(mask & LUA_MASKCALL)) return true;
  if (foreign &&
      !foreign->watched) { /* it may have been told of a call, but not by the host's hook */
    foreign->watched = true;
    return later(all, L, at_line);
  }
  if (!all->at_first) return true;
  if (!at_line) return later(all, L, false);
  if (foreign) interrupt_arm(L, 1); /* it must not be told */
  user->repeats = lua_getinfo(L, "u", ar) && !ar->isvararg;
  return true;
}

static void on_signal(int number) {
  (void)number;
  int saved = errno;
  Runtime *rt = runs_here;
  bool wanted = false;
  for (Interrupt *i = rt ? rt->interrupts.first : NULL; i; i = i->next)
    if (i->wanted(i, rt)) wanted = true;
  /* Even if it is already set: a signal in the middle of an instruction can miss its effect. */
  if (wanted && rt->scheduler.current && rt->scheduler.running)
    interrupt_arm(rt->scheduler.running, 1);
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
  interrupt->next = rt->interrupts.first;
  rt->interrupts.first = interrupt;
}

void interrupt_remove(Runtime *rt, Interrupt *interrupt) {
  for (Interrupt **link = &rt->interrupts.first; *link; link = &(*link)->next) {
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

void interrupt_note_thread(Runtime *rt) {
  atomic_store_explicit(&rt->interrupts.thread, pthread_self(), memory_order_relaxed);
}

Runtime *interrupt_enter(Runtime *rt) {
  Runtime *before = runs_here;
  interrupt_note_thread(rt);
  runs_here = rt;
  return before;
}

void interrupt_leave(Runtime *before) { runs_here = before; }
