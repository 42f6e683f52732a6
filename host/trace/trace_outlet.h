/* Where spans that have ended on other threads wait for the thread whose tracer exports them. */
#ifndef ML_TRACE_OUTLET_H
#define ML_TRACE_OUTLET_H

#include "core/names.h"
#include "trace/span.h"

#include <stdatomic.h>
#include <uv.h>

typedef struct TraceOutlet {
  uv_async_t *wake; /* what the owner's thread is woken by, to call trace_outlet_pass */
  atomic_bool has_spans;
  uv_mutex_t lock; /* for what follows */
  Span *first, **tail;
  size_t count, bytes;
  uint64_t dropped; /* for lack of room or memory, since the last pass */
} TraceOutlet;

/* False if it cannot be made. */
bool trace_outlet_open(TraceOutlet *outlet, uv_async_t *wake);

/* Takes what is to be exported of a span that has ended, from any thread. At most `most` spans
   wait. */
void trace_outlet_put(TraceOutlet *outlet, Span *span, size_t most);

/* On the owner's thread: gives what waits to the runtime's tracer. Without one it is dropped. */
void trace_outlet_pass_all(TraceOutlet *outlet, Runtime *rt);
static inline void trace_outlet_pass(TraceOutlet *outlet, Runtime *rt) {
  if (atomic_load_explicit(&outlet->has_spans, memory_order_acquire))
    trace_outlet_pass_all(outlet, rt);
}

/* Drops what waits; nobody uses it any more. */
void trace_outlet_close(TraceOutlet *outlet);

#endif
