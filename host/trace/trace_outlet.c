#include "trace/trace_outlet.h"

#include "trace/tracer.h"

bool trace_outlet_open(TraceOutlet *outlet, uv_async_t *wake) {
  *outlet = (TraceOutlet){.wake = wake};
  outlet->tail = &outlet->first;
  return uv_mutex_init(&outlet->lock) == 0;
}

void trace_outlet_put(TraceOutlet *outlet, Span *span, size_t most) {
  Span *own = span_detach(span);
  size_t size = own ? span_size(own) : 0;
  uv_mutex_lock(&outlet->lock);
  bool has_room = own && outlet->count < most && outlet->bytes < TRACER_QUEUE_BYTES;
  if (has_room) {
    *outlet->tail = own;
    outlet->tail = &own->next;
    outlet->count++;
    outlet->bytes += size;
  } else {
    outlet->dropped++;
  }
  bool wakes = !atomic_exchange_explicit(&outlet->has_spans, true, memory_order_release);
  uv_mutex_unlock(&outlet->lock);
  if (own && !has_room) span_drop(own);
  if (wakes) uv_async_send(outlet->wake);
}

/* Empties it. Returns the spans, linked by `next`. */
static Span *take(TraceOutlet *outlet, uint64_t *dropped) {
  uv_mutex_lock(&outlet->lock);
  Span *first = outlet->first;
  *dropped = outlet->dropped;
  outlet->first = NULL;
  outlet->tail = &outlet->first;
  outlet->count = outlet->bytes = 0;
  outlet->dropped = 0;
  atomic_store_explicit(&outlet->has_spans, false, memory_order_relaxed);
  uv_mutex_unlock(&outlet->lock);
  return first;
}

void trace_outlet_pass_all(TraceOutlet *outlet, Runtime *rt) {
  uint64_t dropped;
  Tracer *tracer = tracer_active(rt);
  for (Span *span = take(outlet, &dropped), *next; span; span = next) {
    next = span->next;
    if (tracer) tracer_add(tracer, span);
    span_drop(span);
  }
  if (tracer) tracer_count_dropped(tracer, dropped);
}

void trace_outlet_close(TraceOutlet *outlet) {
  uint64_t dropped;
  for (Span *span = take(outlet, &dropped), *next; span; span = next) {
    next = span->next;
    span_drop(span);
  }
  uv_mutex_destroy(&outlet->lock);
}
