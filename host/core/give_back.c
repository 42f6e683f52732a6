#include "core/give_back.h"

#include "base/memory_trim.h"
#include "core/runtime.h"
#include "core/task_pool.h"

#include <malloc.h>
#include <pthread.h>

#define PERIOD_MS 1000

/* A burst is over when fewer bytes than this were allocated in large blocks within a period, ... */
#define QUIET_BYTES ((size_t)1 << 20)
/* ... and all is calm when fewer tasks than this were started. */
#define QUIET_TASKS 128

/* What makes collector cycles worthwhile: this many threads of tasks, ... */
#define MANY_THREADS 1024
/* ... this many bytes in large blocks since the last time; or, while all is calm, this much growth
   of the Lua state since then, or this much memory that malloc keeps free. */
#define MUCH_LARGE ((size_t)8 << 20)
#define MUCH_LUA ((size_t)1 << 20)
#define MUCH_FREE ((size_t)4 << 20)
/* Values that were let go of count as the page that each may have kept. */
#define PAGE_OF_VALUE ((size_t)4 << 10)

static void on_timer(uv_timer_t *timer) {
  GiveBack *g = container_of(timer, GiveBack, timer);
  g->woken = true;
  g->at = 0;
}

void give_back_open(Runtime *rt) {
  uv_timer_init(&rt->loop, &rt->give_back.timer);
  uv_unref((uv_handle_t *)&rt->give_back.timer);
}

void give_back_close(Runtime *rt) { uv_close((uv_handle_t *)&rt->give_back.timer, NULL); }

static size_t lua_bytes(lua_State *L) { return (size_t)lua_gc(L, LUA_GCCOUNT) << 10; }

/* Is `bytes` much compared with what the Lua state needs? A collector cycle looks at all of
   that. */
static bool is_much(const GiveBack *g, size_t bytes, size_t least) {
  return bytes >= least && bytes >= g->lua_left / 2;
}

/* Where another malloc stands in glibc's place, a sanitizer's or a program's own, glibc makes its
   arenas when it is first asked about them: two threads must not be the first at once. */
static pthread_once_t arenas = PTHREAD_ONCE_INIT;

static void make_arenas(void) { (void)mallinfo2(); }

/* How many bytes malloc keeps free. */
static size_t free_bytes(void) {
  pthread_once(&arenas, make_arenas);
  return mallinfo2().fordblks;
}

static bool is_worthwhile(Runtime *rt, bool calm) {
  const GiveBack *g = &rt->give_back;
  if (rt->pool.released >= MANY_THREADS) return true;
  if (is_much(g, rt->memory.large - g->large_before, MUCH_LARGE)) return true;
  if (!calm) return false;
  if (is_much(g, g->gone * PAGE_OF_VALUE, MUCH_LUA)) return true;
  size_t lua = lua_bytes(rt->L);
  if (lua > g->lua_left && is_much(g, lua - g->lua_left, MUCH_LUA)) return true;
  return free_bytes() >= g->free_left + MUCH_FREE;
}

/* The reference for the next burst. */
static void note_left(Runtime *rt) {
  GiveBack *g = &rt->give_back;
  g->large_before = rt->memory.large;
  g->lua_left = lua_bytes(rt->L);
  g->free_left = free_bytes();
  g->gone = 0;
}

/* A generational collector has no cycles, and rarely looks at old objects: it is switched to
   incremental for that time. */
static void begin(Runtime *rt) {
  GiveBack *g = &rt->give_back;
  if (!lua_gc(rt->L, LUA_GCISRUNNING)) return; /* the script's choice */
  g->works = true;
  g->generational = lua_gc(rt->L, LUA_GCINC, 0, 0, 0) == LUA_GCGEN;
  g->cycles = 2; /* the running cycle may treat dead objects as alive */
  g->steps = 64 + (unsigned)lua_gc(rt->L, LUA_GCCOUNT) / 8; /* if a script changes the mode */
}

void give_back_look(Runtime *rt) {
  GiveBack *g = &rt->give_back;
  bool woken = g->woken;
  size_t released = rt->pool.released;
  bool shrinks = task_pool_trim(rt);
  bool over = released == rt->pool.released && rt->memory.large - g->large < QUIET_BYTES;
  bool calm = rt->tasks.last_id - g->last_task < QUIET_TASKS;
  if (!g->lua_left) note_left(rt); /* the first look */
  g->woken = false;
  g->at = rt->pass_at + PERIOD_MS * 1000000ull;
  g->large = rt->memory.large;
  g->last_task = rt->tasks.last_id;
  if (over && !g->works && is_worthwhile(rt, calm)) begin(rt);
  bool last = woken && over && calm && !shrinks && !g->works;
  if (!last && !rt->timers.clock.is_virtual) uv_timer_start(&g->timer, on_timer, PERIOD_MS, 0);
}

void give_back_when_idle(Runtime *rt) {
  if (rt->give_back.lua_left && is_worthwhile(rt, true)) begin(rt);
}

void give_back_note_gone(Runtime *rt, size_t count) { rt->give_back.gone += count; }

static int l_step(lua_State *L) {
  GiveBack *g = &runtime_of(L)->give_back;
  if (!lua_gc(L, LUA_GCISRUNNING))
    g->cycles = 0;
  else if (lua_gc(L, LUA_GCSTEP, 0))
    g->cycles--;
  if (!--g->steps) g->cycles = 0;
  if (!g->cycles && g->generational) lua_gc(L, LUA_GCGEN, 0, 0);
  return 0;
}

static void collect(Runtime *rt) {
  lua_pushcfunction(rt->L, l_step);
  if (lua_pcall(rt->L, 0, 0, 0) == LUA_OK) return;
  lua_pop(rt->L, 1);
  rt->give_back.cycles = 0;
}

void give_back_step(Runtime *rt) {
  if (rt->give_back.cycles) {
    collect(rt);
    return;
  }
  if (!memory_trim(&rt->memory)) return;
  task_pool_give_back(rt);
  timer_heap_shrink(&rt->timers);
  malloc_trim(0);
  note_left(rt);
  rt->give_back.works = false;
}
