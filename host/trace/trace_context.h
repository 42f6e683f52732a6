/* Who a span is, as it travels between programs: W3C Trace Context (level 2). */
#ifndef ML_TRACE_CONTEXT_H
#define ML_TRACE_CONTEXT_H

#include "base/buffer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
  TRACE_ID_BYTES = 16,
  TRACE_SPAN_BYTES = 8,
  TRACE_PARENT_LENGTH = 55, /* of what trace_context_write writes */
  TRACE_STATE_MAX = 512,    /* bytes of a tracestate that are passed on */
};

enum {
  TRACE_SAMPLED = 1, /* the caller may have recorded it */
  TRACE_RANDOM = 2,  /* the last 7 bytes of the trace's id are random */
};

typedef struct TraceContext {
  uint8_t trace_id[TRACE_ID_BYTES];
  uint8_t span_id[TRACE_SPAN_BYTES];
  uint8_t flags; /* TRACE_SAMPLED and TRACE_RANDOM */
} TraceContext;

/* Reads the value of a traceparent header (section 3.2), without spaces around it. Of a later
   version than 00, what version 00 knows is read. False: it is malformed, and to be ignored. */
bool trace_context_read(const char *text, size_t size, TraceContext *context);

/* Writes it as a traceparent of version 00; no NUL is added. */
void trace_context_write(const TraceContext *context, char text[TRACE_PARENT_LENGTH]);

/* Appends the value of a tracestate header (section 3.3), its lines joined by commas, to `out`:
   without spaces and empty members, and without members at its end if it has more than
   TRACE_STATE_MAX bytes. False: it is malformed, and to be ignored (`out` is as before), or memory
   is out. */
bool trace_context_read_state(const char *text, size_t size, Buffer *out);

/* Writes bytes as lower-case hexadecimal digits, two for each; no NUL is added. */
void trace_context_hex(const uint8_t *bytes, size_t n, char *text);

#endif
