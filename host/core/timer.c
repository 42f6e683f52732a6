#include "core/timer.h"

#include <stdbool.h>
#include <stdlib.h>

/* A 4-ary heap: half the depth of a binary one, and the four children share a cache line or two. */
#define ARITY 4

static bool earlier(const TimerEntry *a, const TimerEntry *b) {
  return a->due != b->due ? a->due < b->due : a->order < b->order;
}

static void put(TimerHeap *heap, uint32_t i, TimerEntry entry) {
  heap->entries[i] = entry;
  entry.timer->place = i + 1;
}

static void sift_up(TimerHeap *heap, uint32_t i, TimerEntry entry) {
  while (i > 0) {
    uint32_t up = (i - 1) / ARITY;
    if (!earlier(&entry, &heap->entries[up])) break;
    put(heap, i, heap->entries[up]);
    i = up;
  }
  put(heap, i, entry);
}

static void sift_down(TimerHeap *heap, uint32_t i, TimerEntry entry) {
  for (;;) {
    uint64_t first = (uint64_t)i * ARITY + 1;
    if (first >= heap->len) break;
    uint32_t best = (uint32_t)first;
    uint32_t end = first + ARITY < heap->len ? (uint32_t)first + ARITY : heap->len;
    for (uint32_t k = best + 1; k < end; k++)
      if (earlier(&heap->entries[k], &heap->entries[best])) best = k;
    if (!earlier(&heap->entries[best], &entry)) break;
    put(heap, i, heap->entries[best]);
    i = best;
  }
  put(heap, i, entry);
}

static void take_out(TimerHeap *heap, uint32_t i) {
  heap->entries[i].timer->place = 0;
  TimerEntry last = heap->entries[--heap->len];
  if (i == heap->len) return;
  if (i > 0 && earlier(&last, &heap->entries[(i - 1) / ARITY]))
    sift_up(heap, i, last);
  else
    sift_down(heap, i, last);
}

static void fire_due(TimerHeap *heap) {
  uint64_t now = clock_now(&heap->clock);
  while (heap->len > 0 && heap->entries[0].due <= now) {
    Timer *timer = heap->entries[0].timer;
    take_out(heap, 0);
    timer->fire(timer);
  }
}

static void on_timer(uv_timer_t *handle) {
  TimerHeap *heap = handle->data;
  heap->armed_for = UINT64_MAX;
  fire_due(heap);
  /* uv_run fires overdue timers before it polls. It must not wait for a socket then, since tasks
     may be ready now and the heap is not armed. */
  uv_stop(handle->loop);
}

int timer_heap_open(TimerHeap *heap, uv_loop_t *loop) {
  *heap = (TimerHeap){.armed_for = UINT64_MAX};
  int rc = uv_timer_init(loop, &heap->handle);
  heap->handle.data = heap;
  return rc;
}

void timer_heap_close(TimerHeap *heap) {
  for (uint32_t i = 0; i < heap->len; i++) heap->entries[i].timer->place = 0;
  free(heap->entries);
  heap->entries = NULL;
  heap->len = heap->cap = 0;
  uv_close((uv_handle_t *)&heap->handle, NULL);
}

void timer_heap_shrink(TimerHeap *heap) {
  uint32_t cap = 64;
  while (cap < heap->cap && cap / 2 < heap->len) cap *= 2;
  TimerEntry *entries = cap < heap->cap ? realloc(heap->entries, cap * sizeof *entries) : NULL;
  if (!entries) return;
  heap->entries = entries;
  heap->cap = cap;
}

int timer_set(TimerHeap *heap, Timer *timer, uint64_t due, void (*fire)(Timer *timer)) {
  timer_clear(heap, timer);
  if (heap->len == heap->cap) {
    if (heap->cap > UINT32_MAX / 2) return UV_ENOMEM;
    uint32_t cap = heap->cap ? heap->cap * 2 : 64;
    TimerEntry *entries = realloc(heap->entries, cap * sizeof *entries);
    if (!entries) return UV_ENOMEM;
    heap->entries = entries;
    heap->cap = cap;
  }
  timer->fire = fire;
  sift_up(heap, heap->len++, (TimerEntry){due, heap->orders++, timer});
  return 0;
}

uint64_t timer_due_at(const TimerHeap *heap, const Timer *timer) {
  return timer->place ? heap->entries[timer->place - 1].due : TIMER_NEVER;
}

void timer_clear(TimerHeap *heap, Timer *timer) {
  if (timer->place) take_out(heap, timer->place - 1);
}

void timer_heap_arm(TimerHeap *heap) {
  /* libuv counts whole milliseconds, rounded down: the next one is the first that is not early. */
  uint64_t due = heap->len > 0 ? heap->entries[0].due : TIMER_NEVER;
  uint64_t target = UINT64_MAX;
  if (due != TIMER_NEVER) {
    due -= heap->clock.ahead;
    target =
        due > INT64_MAX ? 0 : (due + 999999) / 1000000; /* earlier than the machine's time: now */
  }
  if (target == heap->armed_for) return;
  heap->armed_for = target;
  if (target == UINT64_MAX) {
    if (heap->len == 0)
      uv_timer_stop(&heap->handle);
    else /* endless sleeps still keep the loop alive */
      uv_timer_start(&heap->handle, on_timer, (uint64_t)1 << 40, 0);
    return;
  }
  uint64_t now = uv_now(heap->handle.loop);
  uv_timer_start(&heap->handle, on_timer, target > now ? target - now : 0, 0);
}

void timer_heap_disarm(TimerHeap *heap) {
  heap->armed_for = UINT64_MAX;
  uv_timer_stop(&heap->handle);
}

void timer_heap_arm_in(TimerHeap *heap, uint64_t ms) {
  heap->armed_for = 0;
  uv_timer_start(&heap->handle, on_timer, ms, 0);
}

bool timer_heap_jump(TimerHeap *heap) {
  if (heap->len == 0 || heap->entries[0].due == TIMER_NEVER) return false;
  if (heap->entries[0].due > heap->clock.shows) heap->clock.shows = heap->entries[0].due;
  fire_due(heap);
  return true;
}

uint64_t timer_due(uint64_t now, double seconds) {
  double ns = seconds * 1e9;
  if (!(ns < 9e18)) return TIMER_NEVER;
  uint64_t due = now + (uint64_t)(ns + 0.5); /* 0.29 * 1e9 is a little less than it should be */
  return due < now ? TIMER_NEVER : due;
}
