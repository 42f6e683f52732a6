#include "trace/tracer.h"

#include "core/wait.h"
#include "trace/trace_observer.h"
#include "trace/trace_outlet.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#define TAKE_BYTES ((size_t)1024 * 1024)
#define ATTRIBUTES_AT_FIRST 800 /* bytes, enough for those of a request */
#define RANDOM_BITS 56          /* of an id that decide whether the trace is sampled */

/* --- random numbers --- */

static uint64_t rotate(uint64_t n, int bits) { return n << bits | n >> (64 - bits); }

/* xoshiro256++ by Blackman and Vigna. */
static uint64_t next_random(Tracer *tracer) {
  uint64_t *s = tracer->random, result = rotate(s[0] + s[3], 23) + s[0], t = s[1] << 17;
  s[2] ^= s[0];
  s[3] ^= s[1];
  s[1] ^= s[2];
  s[0] ^= s[3];
  s[2] ^= t;
  s[3] = rotate(s[3], 45);
  return result;
}

/* --- the runtime's --- */

static void forget_queue(Tracer *tracer) {
  for (Span *span = tracer->first, *next; span; span = next) {
    next = span->next;
    span_drop(span);
  }
  tracer->counts.dropped += tracer->queued;
  tracer->first = NULL;
  tracer->tail = &tracer->first;
  tracer->queued = tracer->bytes = 0;
}

static void on_last(LastHook *hook, Runtime *rt) {
  (void)rt;
  Tracer *tracer = container_of(hook, Tracer, last);
  tracer->ends = true;
  tracer_hurry(tracer);
}

static void on_close(CloseHook *hook, Runtime *rt) {
  Tracer *tracer = container_of(hook, Tracer, close);
  size_t lost = tracer->queued + tracer->sending;
  if (lost && tracer->exports)
    report_sayf(rt, LOG_WARN, "%zu span(s) could not be exported before the end", lost);
  trace_observer_remove(tracer);
  if (tracer->begun) span_drop(tracer->begun);
  timer_clear(&rt->timers, &tracer->timer);
  forget_queue(tracer);
  if (tracer->silent) span_drop(tracer->silent);
  span_keep_memory(false);
  rt->tracer = NULL;
  free(tracer);
}

Tracer *tracer_of(Runtime *rt) {
  if (rt->tracer) return rt->tracer;
  Tracer *tracer = calloc(1, sizeof *tracer);
  if (!tracer) return NULL;
  tracer->rt = rt;
  tracer->tail = &tracer->first;
  tracer->silent = span_new();
  if (!tracer->silent ||
      getrandom(tracer->random, sizeof tracer->random, 0) != sizeof tracer->random) {
    free(tracer->silent);
    free(tracer);
    return NULL;
  }
  tracer->serial = next_random(tracer);
  tracer->silent->is_silent = true;
  span_keep_memory(true);
  tracer->close.close = on_close;
  ml_runtime_on_close(rt, &tracer->close);
  tracer->last = (LastHook){rt->last_hooks, on_last};
  rt->last_hooks = &tracer->last;
  report_set_trace_ids(rt, tracer_ids);
  return rt->tracer = tracer;
}

void tracer_export(Tracer *tracer, const TracerSettings *settings) {
  tracer->exports = settings;
  tracer->outlet = NULL;
  tracer->ends = false;
  if (settings) {
    trace_observer_add(tracer);
    double all = ldexp(1, RANDOM_BITS);
    tracer->settings = *settings;
    tracer->threshold = (uint64_t)(all - settings->ratio * all);
  } else {
    tracer->counts.dropped += tracer->sending;
    tracer->sending = 0;
    forget_queue(tracer);
    timer_clear(&tracer->rt->timers, &tracer->timer);
    trace_observer_remove(tracer);
  }
}

void tracer_hand_over(Tracer *tracer, const TracerSettings *settings, TraceOutlet *outlet) {
  if (tracer->exports && !tracer->outlet) return;
  tracer_export(tracer, settings);
  if (settings) tracer->outlet = outlet;
}

/* --- spans --- */

/* Is the trace among those that are sampled? `low` are the last 8 bytes of its id. */
static inline bool is_sampled(const Tracer *tracer, uint64_t low) {
  return (low & ((UINT64_C(1) << RANDOM_BITS) - 1)) >= tracer->threshold;
}

static bool is_decided(const Tracer *tracer, const Span *parent) {
  return parent && (!parent->is_remote || tracer->settings.parent_based);
}

/* It goes on the trace of its parent. */
__attribute__((noinline)) static void inherit(Tracer *tracer, Span *span, const Span *parent) {
  TraceContext *context = &span->context;
  *context = parent->context;
  memcpy(span->parent_id, parent->context.span_id, sizeof span->parent_id);
  span->has_parent = true;
  span->parent_remote = parent->is_remote;
  span->state = parent->state;
  if (span->state) span->state->users++;
  if (is_decided(tracer, parent)) return;
  uint64_t low;
  memcpy(&low, context->trace_id + 8, sizeof low);
  context->flags &= (uint8_t)~TRACE_SAMPLED;
  if (is_sampled(tracer, __builtin_bswap64(low))) context->flags |= TRACE_SAMPLED;
}

/* Ids must not be zero, so one bit is never; it is none of those that decide. Of a trace's, one
   half is random and the other never the same, and the id of its first span is made of both: a
   number from the generator is enough for each request. */
static void set_context(Tracer *tracer, Span *span, const Span *parent) {
  TraceContext *context = &span->context;
  uint64_t id;
  if (parent) {
    inherit(tracer, span, parent);
    id = next_random(tracer) | 1;
  } else {
    uint64_t high = tracer->serial += UINT64_C(0x9E3779B97F4A7C15), /* odd: it takes all values */
        low = next_random(tracer) | UINT64_C(1) << 63, sent = __builtin_bswap64(low);
    memcpy(context->trace_id, &high, sizeof high);
    memcpy(context->trace_id + 8, &sent, sizeof sent);
    context->flags = TRACE_RANDOM | (is_sampled(tracer, low) ? TRACE_SAMPLED : 0);
    id = (rotate(high, 29) ^ low) | 1;
  }
  memcpy(context->span_id, &id, sizeof context->span_id);
}

int64_t tracer_day_offset(const Tracer *tracer, const Span *parent) {
  const Clock *clock = &tracer->rt->timers.clock;
  if (parent && (parent->is_recorded || parent->is_stand_in)) return parent->day_offset_ns;
  return clock_day_time(clock) - (int64_t)clock_now(clock);
}

/* Kept apart: most are not recorded. */
__attribute__((noinline)) static void record(const Tracer *tracer, Span *span, const Span *parent,
                                             SpanKind kind, uint64_t now_ns) {
  span_record(span);
  buffer_reserve(&span->attributes, ATTRIBUTES_AT_FIRST);
  span->kind = (uint8_t)kind;
  span->started_ns = now_ns;
  span->day_offset_ns = tracer_day_offset(tracer, parent);
}

Span *tracer_begin(Tracer *tracer, Span *parent, SpanKind kind, const char *name, size_t n,
                   uint64_t now_ns) {
  Span *span = span_new();
  if (!span) return NULL;
  set_context(tracer, span, parent);
  if (!(span->context.flags & TRACE_SAMPLED)) return span;
  record(tracer, span, parent, kind, now_ns);
  span_set_name(span, name, n);
  return span;
}

static void enqueue(Tracer *tracer, Span *span) {
  tracer->counts.recorded++;
  if (tracer->queued >= tracer->settings.queue || tracer->bytes >= TRACER_QUEUE_BYTES) {
    tracer->counts.dropped++;
    return;
  }
  span->next = NULL;
  *tracer->tail = span_hold(span);
  tracer->tail = &span->next;
  tracer->queued++;
  tracer->bytes += span_size(span);
  if (tracer->waits != TRACER_WAITS) return;
  if (tracer->queued >= tracer->settings.batch)
    tracer_wake(tracer);
  else if (!tracer->timer.place)
    tracer_wait(tracer, tracer->sender, TRACER_WAITS, 0);
}

void tracer_add(Tracer *tracer, Span *span) {
  if (tracer->outlet)
    trace_outlet_put(tracer->outlet, span, tracer->settings.queue);
  else if (tracer->exports)
    enqueue(tracer, span);
}

void tracer_count_dropped(Tracer *tracer, uint64_t count) {
  tracer->counts.recorded += count;
  tracer->counts.dropped += count;
}

void tracer_end(Tracer *tracer, Span *span, uint64_t now_ns) {
  if (!span->is_recorded || span->ended_ns) return;
  span->ended_ns = now_ns ? now_ns : 1;
  tracer_add(tracer, span);
}

bool tracer_ids(const Task *t, char trace_id[2 * TRACE_ID_BYTES + 1],
                char span_id[2 * TRACE_SPAN_BYTES + 1]) {
  const Span *span = t && t->trace ? span_of(t->trace) : NULL;
  if (!span || span->is_silent) return false;
  trace_context_hex(span->context.trace_id, TRACE_ID_BYTES, trace_id);
  trace_context_hex(span->context.span_id, TRACE_SPAN_BYTES, span_id);
  trace_id[2 * TRACE_ID_BYTES] = span_id[2 * TRACE_SPAN_BYTES] = '\0';
  return true;
}

/* --- for the task that sends --- */

size_t tracer_take(Tracer *tracer, size_t most, Buffer *out) {
  size_t n = 0, from = out->len;
  while (n < most && tracer->first && out->len - from < TAKE_BYTES) {
    Span *span = tracer->first;
    size_t before = out->len;
    if ((n && !buffer_add_char(out, ',')) || !span_json(out, span)) {
      out->len = before;
      break;
    }
    tracer->first = span->next;
    if (!tracer->first) tracer->tail = &tracer->first;
    tracer->queued--;
    tracer->bytes -= span_size(span);
    span_drop(span);
    n++;
  }
  if (!tracer->queued) tracer->hurries = false;
  tracer->sending += n;
  return n;
}

void tracer_settle(Tracer *tracer, size_t exported, size_t refused) {
  size_t n = exported + refused;
  tracer->sending -= n < tracer->sending ? n : tracer->sending;
  tracer->counts.exported += exported;
  tracer->counts.refused += refused;
}

void tracer_wake(Tracer *tracer) {
  tracer->waits = TRACER_BUSY;
  timer_clear(&tracer->rt->timers, &tracer->timer);
  ml_wait_wake(tracer->sender);
}

void tracer_hurry(Tracer *tracer) {
  tracer->hurries = true;
  if (tracer->waits != TRACER_BUSY) tracer_wake(tracer);
}

static void on_timer(Timer *timer) { tracer_wake(container_of(timer, Tracer, timer)); }

void tracer_wait(Tracer *tracer, Waker sender, TracerWait waits, double seconds) {
  tracer->sender = sender;
  tracer->waits = waits;
  if (waits == TRACER_WAITS) {
    if (!tracer->queued) return; /* the first span sets it */
    seconds = tracer->settings.delay;
  }
  Runtime *rt = tracer->rt;
  if (timer_set(&rt->timers, &tracer->timer, timer_due(runtime_now(rt), seconds), on_timer))
    tracer_wake(tracer); /* memory is out: at once, then */
}
