#include "trace/trace_carrier.h"

#include <stdlib.h>

TraceCarrier *trace_carrier_new(const Runtime *rt, const Observation *o, const Task *t) {
  const Tracer *tracer = tracer_active(rt);
  if (!tracer) return NULL;
  const Span *parent = o && tracer->observes ? o->slots[tracer->observer.slot] : NULL;
  if (!parent && t->trace) parent = span_of(t->trace);
  if (parent && parent->is_silent) return NULL;
  size_t n = parent && parent->state ? parent->state->size : 0;
  TraceCarrier *carrier = malloc(sizeof *carrier + n);
  if (!carrier) return NULL;
  *carrier = (TraceCarrier){.settings = tracer->settings, .has_parent = parent, .state_size = n};
  if (parent) carrier->parent = parent->context;
  carrier->day_offset_ns = tracer_day_offset(tracer, parent) + (int64_t)rt->timers.clock.ahead;
  if (n) memcpy(carrier->state, parent->state->text, n);
  return carrier;
}

void trace_carrier_enter(const TraceCarrier *carrier, Task *t, TraceOutlet *outlet) {
  Runtime *rt = t->rt;
  if (!carrier) {
    if (rt->tracer) tracer_hand_over(rt->tracer, NULL, outlet);
    return;
  }
  Tracer *tracer = tracer_of(rt);
  if (!tracer) return;
  tracer_hand_over(tracer, &carrier->settings, outlet);
  if (!carrier->has_parent) return;
  Span *parent = span_stand_in(&carrier->parent, carrier->state, carrier->state_size);
  if (!parent) return;
  parent->day_offset_ns = carrier->day_offset_ns - (int64_t)rt->timers.clock.ahead;
  task_trace_replace(&t->trace, &parent->trace);
}

void trace_carrier_free(TraceCarrier *carrier) { free(carrier); }
