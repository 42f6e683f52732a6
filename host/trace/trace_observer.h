/* The spans that are made by themselves: of requests, calls of ml.http, statements, commands of
   Redis, and jobs, by the names of OpenTelemetry's semantic conventions. */
#ifndef ML_TRACE_OBSERVER_H
#define ML_TRACE_OBSERVER_H

#include "trace/tracer.h"

/* Observes the tracer's runtime from now on, or no more. Adding twice is harmless. */
void trace_observer_add(Tracer *tracer);
void trace_observer_remove(Tracer *tracer);

#endif
