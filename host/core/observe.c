#include "core/observe.h"

#include "core/task.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

bool observe_add(Runtime *rt, Observer *observer) {
  if (!rt->observers_kept) {
    rt->observers_kept = calloc(1, sizeof *rt->observers_kept);
    if (!rt->observers_kept) return false;
    rt->observers_kept->rt = rt;
  }
  Observers *of = rt->observers_kept;
  unsigned slot = 0;
  while (slot < OBSERVERS_MAX && of->all[slot]) slot++;
  if (slot == OBSERVERS_MAX) return false;
  observer->slot = slot;
  of->all[slot] = observer;
  of->only = of->count++ ? NULL : observer;
  if (observer->began) of->begins++;
  if (slot >= of->used) of->used = slot + 1;
  rt->observers = of;
  return true;
}

void observe_read_spans(Runtime *rt, Observer *observer, bool reads) {
  Observers *of = rt->observers;
  if (observer->reads_spans == reads) return;
  observer->reads_spans = reads;
  of->span_readers += reads ? 1 : -1u;
}

void observe_remove(Runtime *rt, Observer *observer) {
  Observers *of = rt->observers;
  if (!of || of->all[observer->slot] != observer) return;
  observe_read_spans(rt, observer, false);
  of->all[observer->slot] = NULL;
  while (of->used && !of->all[of->used - 1]) of->used--;
  for (Observation *o = of->under_way; o; o = o->next) {
    if (o->slots[observer->slot] && observer->left) observer->left(observer, o);
    o->slots[observer->slot] = NULL;
  }
  if (observer->began) of->begins--;
  if (--of->count == 0) rt->observers = NULL;
  of->only = of->count == 1 ? of->all[of->used - 1] : NULL;
}

/* runtime_now, without the ways of libuv to it. The clock is not read into a local variable, which
   would give the caller a guarded stack frame. */
static inline uint64_t now(Observers *of) {
  const Clock *clock = &of->rt->timers.clock;
  if (clock->stopped) return clock->shows;
  clock_gettime(CLOCK_MONOTONIC, &of->read);
  return (uint64_t)of->read.tv_sec * 1000000000u + (uint64_t)of->read.tv_nsec + clock->ahead;
}

/* Makes one more that is free. False: memory is out. */
__attribute__((noinline, cold)) static bool add_free(Observers *of) {
  Observation *o = malloc(sizeof *o);
  if (!o) return false;
  o->next = NULL;
  of->free = o;
  return true;
}

Observation *observe_start(Runtime *rt, ObservedKind kind, Task *task) {
  Observers *of = rt->observers;
  if (!of->free && !add_free(of)) return NULL;
  uint64_t started = now(of);
  Observation *o = of->free;
  of->free = o->next;
  for (unsigned i = 0; i < OBSERVERS_MAX; i++) o->slots[i] = NULL;
  o->of = of;
  o->kind = kind;
  o->task = task;
  o->started_ns = started;
  o->next = of->under_way;
  o->link = &of->under_way;
  if (o->next) o->next->link = &o->next;
  of->under_way = o;
  return o;
}

void observe_tell_began(Observation *o) {
  Observers *of = o->of;
  for (unsigned i = 0; i < of->used; i++) {
    Observer *observer = of->all[i];
    if (observer && observer->began) observer->began(observer, o);
  }
}

__attribute__((noinline)) static void tell_ended(const Observers *of, Observation *o) {
  for (unsigned i = 0; i < of->used; i++) {
    Observer *observer = of->all[i];
    if (observer && observer->ended) observer->ended(observer, o);
  }
}

void observe_ended(Observation **held) {
  Observation *o = *held;
  if (!o) return;
  Observers *of = o->of;
  *held = NULL;
  o->ended_ns = now(of);
  if (of->only && of->only->ended)
    of->only->ended(of->only, o);
  else
    tell_ended(of, o);
  *o->link = o->next;
  if (o->next) o->next->link = o->link;
  o->next = of->free;
  of->free = o;
}

bool observe_has_traces(const Runtime *rt) {
  const Observers *of = rt->observers;
  for (unsigned i = 0; of && i < of->used; i++)
    if (of->all[i] && of->all[i]->trace) return true;
  return false;
}

const char *observe_method(const char *method) {
  static const char *const known[] = {"GET",   "POST",    "PUT",     "DELETE", "HEAD",
                                      "PATCH", "OPTIONS", "CONNECT", "TRACE"};
  for (size_t i = 0; method && i < sizeof known / sizeof *known; i++)
    if (!strcmp(method, known[i])) return known[i];
  return "_OTHER";
}

bool observe_trace(Runtime *rt, const Task *t, ObservedTrace *trace) {
  Observers *of = rt->observers;
  for (unsigned i = 0; of && i < of->used; i++) {
    Observer *observer = of->all[i];
    if (observer && observer->trace && observer->trace(observer, t, trace)) return true;
  }
  return false;
}

void observe_blocked(const Task *t, uint64_t ns) {
  Observers *of = t->rt->observers;
  for (unsigned i = 0; of && i < of->used; i++) {
    Observer *observer = of->all[i];
    if (observer && observer->blocked) observer->blocked(observer, t->name ? t->name : "task", ns);
  }
}

void observe_limited(Runtime *rt, const char *limit) {
  Observers *of = rt->observers;
  for (unsigned i = 0; of && i < of->used; i++) {
    Observer *observer = of->all[i];
    if (observer && observer->limited) observer->limited(observer, limit);
  }
}

/* After white space, brackets and comments. */
static const char *skip(const char *p, const char *end) {
  while (p < end) {
    if (isspace((unsigned char)*p) || *p == '(' || *p == ';') {
      p++;
    } else if (end - p > 1 && p[0] == '-' && p[1] == '-') {
      while (p < end && *p != '\n') p++;
    } else if (end - p > 1 && p[0] == '/' && p[1] == '*') {
      const char *over = memmem(p + 2, (size_t)(end - p - 2), "*/", 2);
      p = over ? over + 2 : end;
    } else {
      break;
    }
  }
  return p;
}

void observe_operation(const char *sql, size_t len, char operation[static 16]) {
  const char *end = sql + len, *p = skip(sql, end);
  size_t n = 0;
  for (; p < end && n < 15 && isalpha((unsigned char)*p); p++)
    operation[n++] = (char)toupper((unsigned char)*p);
  operation[n] = 0;
}

void observe_close(Runtime *rt) {
  Observers *of = rt->observers_kept;
  if (!of) return;
  for (Observation *o; (o = of->free);) {
    of->free = o->next;
    free(o);
  }
  for (Observation *o; (o = of->under_way);) {
    of->under_way = o->next;
    free(o);
  }
  free(of);
  rt->observers = rt->observers_kept = NULL;
}
