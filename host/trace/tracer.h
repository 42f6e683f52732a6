/* Traces of a runtime: which spans are recorded, and the queue of those that are to be exported. */
#ifndef ML_TRACER_H
#define ML_TRACER_H

#include "core/observe.h"
#include "core/task.h"
#include "trace/span.h"

/* Spans that wait are dropped, and counted, when they have more bytes than this. */
#define TRACER_QUEUE_BYTES ((size_t)16 * 1024 * 1024)

typedef struct TracerSettings {
  bool parent_based;   /* a sampled parent's children are sampled, and only they */
  double ratio;        /* of the other traces: 0 to 1 */
  size_t queue, batch; /* spans that may wait; and that are sent at once */
  double delay;        /* seconds after which fewer than a batch are sent */
} TracerSettings;

typedef struct TracerCounts {
  uint64_t recorded; /* spans that were to be exported */
  uint64_t exported; /* that a collector has taken */
  uint64_t refused;  /* that it has not */
  uint64_t dropped;  /* that came while the queue was full, or were left at the end */
} TracerCounts;

/* What the task waits for that sends spans. */
typedef enum TracerWait { TRACER_BUSY, TRACER_WAITS, TRACER_PAUSES } TracerWait;

typedef struct Tracer {
  Runtime *rt;
  bool exports; /* spans are made, and those of sampled traces recorded */
  TracerSettings settings;
  uint64_t threshold;  /* traces are sampled whose last 56 bits are at least this */
  uint64_t random[4];  /* the state of a generator */
  uint64_t serial;     /* of the last trace */
  Span *silent;        /* what the exporter's task runs in */
  Span *first, **tail; /* the queue */
  size_t queued, bytes;
  size_t sending; /* spans taken, and neither exported nor refused yet */
  TracerCounts counts;
  /* the task that sends */
  TracerWait waits;
  Waker sender;
  Timer timer;
  bool hurries;               /* it should send what there is */
  bool ends;                  /* and then end */
  struct TraceOutlet *outlet; /* another thread exports what ends here; NULL: this one does */
  Observer observer;          /* trace_observer.h */
  bool observes;
  Span *begun; /* of the request that `wants` was asked of, and `began` will be told of */
  CloseHook close;
  LastHook last;
} Tracer;

/* The runtime's, made on first use; NULL if memory is out. It records nothing yet. */
Tracer *tracer_of(Runtime *rt);

/* The runtime's if it makes spans, or NULL. */
static inline Tracer *tracer_active(const Runtime *rt) {
  Tracer *tracer = rt->tracer;
  return tracer && tracer->exports ? tracer : NULL;
}

/* Exports from now on; or with NULL no more: what waits is dropped. */
void tracer_export(Tracer *tracer, const TracerSettings *settings);

/* Spans go to the outlet from now on, for another thread that exports them so; with NULL no more.
   Nothing if the tracer exports by itself. */
void tracer_hand_over(Tracer *tracer, const TracerSettings *settings, struct TraceOutlet *outlet);

/* --- spans --- */

/* Begins a span at `now_ns` of the runtime's clock, with one user. `parent` may be NULL: it begins
   a trace. It is recorded only if its trace is. NULL if memory is out. */
Span *tracer_begin(Tracer *tracer, Span *parent, SpanKind kind, const char *name, size_t n,
                   uint64_t now_ns);

/* From the runtime's clock to the time since 1970, for what is done in `parent` (or NULL): the
   parent's, so that a trace's times fit each other, if it has one. */
int64_t tracer_day_offset(const Tracer *tracer, const Span *parent);

/* The span ends at `now_ns`. The caller's reference stays the caller's. */
void tracer_end(Tracer *tracer, Span *span, uint64_t now_ns);

/* Exports a span that has ended elsewhere. The caller's reference stays the caller's. */
void tracer_add(Tracer *tracer, Span *span);

/* So many more were to be exported, and were dropped. */
void tracer_count_dropped(Tracer *tracer, uint64_t count);

/* The ids of the span that the task runs in, in hexadecimal with a NUL; false: it runs in none. */
bool tracer_ids(const Task *t, char trace_id[2 * TRACE_ID_BYTES + 1],
                char span_id[2 * TRACE_SPAN_BYTES + 1]);

/* --- for the task that sends --- */

/* Takes up to `most` spans from the queue and appends their JSON to `out`, separated by commas.
   Stops after 1 MB. Returns how many; 0: there are none, or memory is out. */
size_t tracer_take(Tracer *tracer, size_t most, Buffer *out);

/* What has become of those that were taken. */
void tracer_settle(Tracer *tracer, size_t exported, size_t refused);

/* It should send at once. */
void tracer_hurry(Tracer *tracer);

/* Wakes it. */
void tracer_wake(Tracer *tracer);

/* It is about to wait: for spans, or for `seconds` before it tries again. Sets the timer. */
void tracer_wait(Tracer *tracer, Waker sender, TracerWait waits, double seconds);

#endif
