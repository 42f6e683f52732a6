/* Spans of requests and of calls of ml.http. */
#ifndef ML_TRACE_OBSERVER_HTTP_H
#define ML_TRACE_OBSERVER_HTTP_H

#include "trace/tracer.h"

/* A request has begun: a span of its own trace, or of the caller's, in which its task runs from now
   on. NULL if memory is out. */
Span *trace_observer_http_request(Tracer *tracer, const Observation *o);
void trace_observer_http_answered(Span *span, const ObservedRequest *request);

/* A call has begun: its span, or the one that its task runs in where the trace is not recorded;
   adds the lines that send it on. NULL: it is not traced. */
Span *trace_observer_http_call(Tracer *tracer, Observation *o);
void trace_observer_http_called(Span *span, const ObservedCall *call);

#endif
