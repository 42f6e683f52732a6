/* Spans as Lua objects, and the functions that run others in them. */
#ifndef ML_SPAN_OBJECT_H
#define ML_SPAN_OBJECT_H

#include "bindings/args.h"
#include "trace/tracer.h"

/* Makes the class (called once a state). */
void span_object_open(lua_State *L);

/* current() -> span: the one that the task runs in, or one that does nothing */
int span_object_current(lua_State *L);

/* span(name, [attributes | nil,] f, ...) -> f's results: runs f in a span of that name */
int span_object_span(lua_State *L);

/* The same for what is sent, such as a job, and goes on elsewhere. */
int span_object_producer(lua_State *L);

/* continue(traceparent | nil, tracestate | nil, f, ...) -> f's results: runs f as a part of the
   trace of another program. One that is malformed, or nil, is ignored. */
int span_object_continue(lua_State *L);

#endif
