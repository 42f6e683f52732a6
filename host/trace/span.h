/* A span: one piece of work in a trace, as OpenTelemetry describes it. A span that is not recorded
   only has a context, for its children and for requests to others. */
#ifndef ML_SPAN_H
#define ML_SPAN_H

#include "base/buffer.h"
#include "core/task_trace.h"
#include "trace/trace_context.h"

enum {
  SPAN_ATTRIBUTES_MAX = 128,
  SPAN_EVENTS_MAX = 128,
  SPAN_NAME_MAX = 256,  /* bytes of a name */
  SPAN_TEXT_MAX = 4096, /* bytes of a text in an attribute */
  SPAN_BYTES_MAX =
      64 * 1024 /* of attributes and events: what comes then is left out, and counted */
};

typedef enum SpanKind { /* as numbered by OTLP */
                        SPAN_INTERNAL = 1,
                        SPAN_SERVER,
                        SPAN_CLIENT,
                        SPAN_PRODUCER,
                        SPAN_CONSUMER,
} SpanKind;

typedef enum SpanStatus { SPAN_UNSET, SPAN_OK, SPAN_ERROR } SpanStatus;

/* A text that the spans of a trace share. */
typedef struct SpanState {
  uint32_t users;
  size_t size;
  char text[];
} SpanState;

typedef struct Span {
  TaskTrace trace; /* counts its users; the last one frees it */
  union {
    TraceContext context;
    struct Span *next_kept; /* of one that is free */
  };
  uint8_t parent_id[TRACE_SPAN_BYTES];
  bool has_parent;
  bool is_remote;        /* it is another program's */
  bool parent_remote;    /* its parent is */
  bool is_recorded;      /* has what follows `name`, and until it has ended, that can be set */
  bool is_silent;        /* nothing in it is traced, and it is never sent on */
  bool is_stand_in;      /* of a span that another thread of this program records */
  SpanState *state;      /* the value of tracestate, or NULL */
  Buffer lines;          /* of headers that send it on, once they were needed */
  TaskTrace *before;     /* of a job's: what its task ran in before */
  int64_t day_offset_ns; /* from the runtime's clock to the time since 1970; of one that is recorded
                            here, or stands in */
  /* only if it is recorded */
  Buffer name, message; /* message: of the status */
  Buffer attributes;    /* one after another, see span.c */
  Buffer events;        /* as JSON, separated by commas */
  uint64_t started_ns;  /* the runtime's clock */
  uint64_t ended_ns;    /* 0: it has not ended */
  uint8_t kind, status;
  uint32_t attribute_count, attributes_left_out, event_count, events_left_out;
  struct Span *next; /* in a queue */
} Span;

/* From now on this thread keeps the memory of some spans that are over, or not any more; as often
   as it was asked to. */
void span_keep_memory(bool keeps);

/* A span with one user and nothing else, which is not recorded. NULL if memory is out. */
Span *span_new(void);

/* A span of another program, as a parent: `state` is what trace_context_read_state has made, or
   NULL. Has one user. NULL if memory is out. */
Span *span_remote(const TraceContext *context, const char *state, size_t n);

/* The same for a span of this program that is another thread's. */
Span *span_stand_in(const TraceContext *context, const char *state, size_t n);

/* What is to be exported of a span that has ended, as a span that shares nothing with others, with
   one user; the span itself keeps its context alone. NULL if memory is out. */
Span *span_detach(Span *span);

/* It is recorded from now on. */
void span_record(Span *span);

/* Is it recorded, and has not ended? */
static inline bool span_is_open(const Span *span) { return span->is_recorded && !span->ended_ns; }

/* Are spans made in it? Not in a trace of this program that is not sampled. */
static inline bool span_takes_children(const Span *span) {
  return span->is_recorded || span->is_remote || span->is_stand_in;
}

static inline Span *span_of(TaskTrace *trace) { return (Span *)trace; }
static inline Span *span_hold(Span *span) {
  span->trace.users++;
  return span;
}
static inline void span_drop(Span *span) { task_trace_drop(&span->trace); }

/* The bytes that it has allocated, about. */
size_t span_size(const Span *span);

/* Each of the following does nothing for a span that is not recorded, or has ended. What there is
   no room or memory for is left out, and counted. Invalid UTF-8 becomes U+FFFD. */

/* Names it. */
void span_set_name(Span *span, const char *name, size_t n);

/* Sets its status, with a message or NULL. One that is set to OK stays. */
void span_set_status(Span *span, SpanStatus status, const char *message, size_t n);

/* It has failed: sets `error.type` and the status, or `moonloop.cancelled` where `error` is
   "cancelled". NULL: does nothing. */
void span_set_failure(Span *span, const char *error);

/* Sets the attribute `key`, of at most 255 bytes, instead of an earlier one of that key. */
void span_set_text(Span *span, const char *key, const char *text, size_t n);
void span_set_string(Span *span, const char *key, const char *text); /* NULL: does nothing */
void span_set_integer(Span *span, const char *key, int64_t number);
void span_set_number(Span *span, const char *key, double number);
void span_set_boolean(Span *span, const char *key, bool value);

/* The same with an AnyValue in JSON, made by span_value_*. */
void span_set_value(Span *span, const char *key, size_t n, const Buffer *value);

/* Adds an event at `now_ns` of the runtime's clock; `attributes` are a JSON list of KeyValue
   without its brackets. */
void span_add_event(Span *span, uint64_t now_ns, const char *name, size_t n,
                    const Buffer *attributes);

/* Adds the event of an error, sets `error.type` and the status. `stack` may be NULL. */
void span_add_error(Span *span, uint64_t now_ns, const char *type, const char *message,
                    const char *stack);

/* --- AnyValue in JSON; false if memory is out --- */

bool span_value_text(Buffer *b, const char *text, size_t n); /* at most SPAN_TEXT_MAX of it */
bool span_value_integer(Buffer *b, int64_t number);
bool span_value_number(Buffer *b, double number);
bool span_value_boolean(Buffer *b, bool value);

/* Appends {"key":...,"value":...}. */
bool span_key_value(Buffer *b, const char *key, size_t n, const char *value, size_t size);

/* Appends a text as a JSON string. */
bool span_json_string(Buffer *b, const char *text, size_t n);

/* Appends the attributes as a JSON list without its brackets. */
bool span_json_attributes(Buffer *b, const Span *span);

/* Appends the span as OTLP's JSON. False if memory is out; what was appended is to be cut off. */
bool span_json(Buffer *b, const Span *span);

#endif
