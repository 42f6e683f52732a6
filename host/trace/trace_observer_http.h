/* Spans of requests and of calls of ml.http. */
#ifndef ML_TRACE_OBSERVER_HTTP_H
#define ML_TRACE_OBSERVER_HTTP_H

#include "trace/tracer.h"

/* Begins the span of a request: of its own trace, or of the caller's, who is named in `headers`.
   `task`, if any, runs in it from now on. NULL if memory is out. */
Span *trace_observer_http_begin(Tracer *tracer, Task *task, ObservedText headers);

/* The request of that span, if it is recorded, has begun, and has been answered. */
void trace_observer_http_request(Span *span, const Observation *o);
void trace_observer_http_answered(Span *span, const ObservedRequest *request);

/* A call has begun: its span, or the one that its task runs in where the trace is not recorded;
   adds the lines that send it on. NULL: it is not traced. */
Span *trace_observer_http_call(Tracer *tracer, Observation *o);
void trace_observer_http_called(Span *span, const ObservedCall *call);

#endif
