/* All timers of a runtime: one heap under one uv_timer. */
#ifndef ML_TIMER_H
#define ML_TIMER_H

#include "base/clock.h"
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

typedef struct Timer Timer;
typedef struct TimerHeap TimerHeap;

/* Embedded in the waiting object; all zero is a timer that is not set. `fire` runs inside a libuv
   callback: it may wake tasks and set timers, and must not enter Lua. */
struct Timer {
  void (*fire)(Timer *timer);
  uint32_t place; /* 1 + its index in the heap; 0: not set */
};

typedef struct TimerEntry {
  uint64_t due;   /* nanoseconds of the clock */
  uint64_t order; /* equal times fire in the order they were set */
  Timer *timer;
} TimerEntry;

struct TimerHeap {
  uv_timer_t handle;
  TimerEntry *entries;
  uint32_t len, cap;
  uint64_t armed_for; /* loop milliseconds the uv_timer is set for; UINT64_MAX: none */
  uint64_t orders;
  Clock clock; /* the clock of `due` */
};

#define TIMER_NEVER UINT64_MAX

/* Prepares the heap on `loop`. Returns 0 or a libuv error. */
int timer_heap_open(TimerHeap *heap, uv_loop_t *loop);

/* Forgets all timers and starts closing the handle. */
void timer_heap_close(TimerHeap *heap);

/* Sets `timer` to call `fire` at `due` (nanoseconds of the clock), never earlier. A timer that is
   already set is moved. Returns 0, or UV_ENOMEM if it could not be set. */
int timer_set(TimerHeap *heap, Timer *timer, uint64_t due, void (*fire)(Timer *timer));

/* When the timer is due; TIMER_NEVER when it is not set. */
uint64_t timer_due_at(const TimerHeap *heap, const Timer *timer);

/* Removes the timer at once; harmless if it is not set. */
void timer_clear(TimerHeap *heap, Timer *timer);

/* Returns memory that a burst of timers has left. */
void timer_heap_shrink(TimerHeap *heap);

/* Sets the uv_timer for the earliest timer: called once before each wait for events. */
void timer_heap_arm(TimerHeap *heap);

/* For the virtual clock: stops the uv_timer, or sets it for `ms` from now regardless of the
   heap. */
void timer_heap_disarm(TimerHeap *heap);
void timer_heap_arm_in(TimerHeap *heap, uint64_t ms);

/* Moves a stopped clock to the earliest timer and fires what is due then. False if no timer will
   ever be due. */
bool timer_heap_jump(TimerHeap *heap);

/* `seconds` from `now` as nanoseconds of the clock; TIMER_NEVER if out of range. */
uint64_t timer_due(uint64_t now, double seconds);

#endif
