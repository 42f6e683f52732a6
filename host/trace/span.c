#include "trace/span.h"

#include "base/utf8.h"
#include <stddef.h>
#include <stdlib.h>

/* Most spans are of requests that are not sampled, one after the other: their memory is kept for
   the next ones, by each thread that traces. */
enum { SPANS_KEPT = 256 };
static _Thread_local struct {
  Span *first; /* linked by `next_kept` */
  unsigned count, users;
} kept;

void span_keep_memory(bool keeps) {
  kept.users += keeps ? 1 : -1u;
  if (kept.users) return;
  for (Span *span; (span = kept.first);) {
    kept.first = span->next_kept;
    free(span);
  }
  kept.count = 0;
}

static void free_memory(Span *span) {
  if (!kept.users || kept.count == SPANS_KEPT) {
    free(span);
    return;
  }
  span->next_kept = kept.first;
  kept.first = span;
  kept.count++;
}

static void free_span(TaskTrace *trace) {
  Span *span = span_of(trace);
  if (span->state && --span->state->users == 0) free(span->state);
  if (span->lines.data) buffer_free(&span->lines);
  if (span->is_recorded) {
    buffer_free(&span->name);
    buffer_free(&span->message);
    buffer_free(&span->attributes);
    buffer_free(&span->events);
  }
  task_trace_drop(span->before);
  free_memory(span);
}

/* glibc's malloc has a cache of free blocks for each thread, which its calloc does not use. */
Span *span_new(void) {
  Span *span = kept.first;
  if (span) {
    kept.first = span->next_kept;
    kept.count--;
  } else if (!(span = malloc(sizeof *span))) {
    return NULL;
  }
  memset(span, 0, offsetof(Span, name));
  span->trace = (TaskTrace){1, free_span};
  return span;
}

/* False if memory is out. */
static bool set_state(Span *span, const char *state, size_t n) {
  if (!n) return true;
  span->state = malloc(sizeof *span->state + n);
  if (!span->state) return false;
  span->state->users = 1;
  span->state->size = n;
  memcpy(span->state->text, state, n);
  return true;
}

Span *span_remote(const TraceContext *context, const char *state, size_t n) {
  Span *span = span_new();
  if (!span) return NULL;
  span->context = *context;
  span->is_remote = true;
  set_state(span, state, n);
  return span;
}

Span *span_stand_in(const TraceContext *context, const char *state, size_t n) {
  Span *span = span_remote(context, state, n);
  if (!span) return NULL;
  span->is_remote = false;
  span->is_stand_in = context->flags & TRACE_SAMPLED;
  return span;
}

Span *span_detach(Span *span) {
  Span *own = malloc(sizeof *own);
  if (!own) return NULL;
  *own = *span;
  own->trace.users = 1;
  own->state = NULL;
  own->lines = (Buffer){0};
  own->before = NULL;
  own->next = NULL;
  if (span->state) set_state(own, span->state->text, span->state->size);
  span->name = span->message = span->attributes = span->events = (Buffer){0};
  return own;
}

void span_record(Span *span) {
  memset((char *)span + offsetof(Span, name), 0, sizeof *span - offsetof(Span, name));
  span->is_recorded = true;
}

size_t span_size(const Span *span) {
  return sizeof *span + span->name.cap + span->message.cap + span->attributes.cap +
         span->events.cap;
}

void span_set_name(Span *span, const char *name, size_t n) {
  if (!span_is_open(span)) return;
  span->name.len = 0;
  buffer_add(&span->name, name, utf8_cut(name, n, SPAN_NAME_MAX));
}

void span_set_status(Span *span, SpanStatus status, const char *message, size_t n) {
  if (!span_is_open(span) || span->status == SPAN_OK) return;
  span->status = status;
  span->message.len = 0;
  if (message && status == SPAN_ERROR)
    buffer_add(&span->message, message, utf8_cut(message, n, SPAN_TEXT_MAX));
}

/* Is there room for so many bytes more? */
static bool has_room(const Span *span, size_t n) {
  return span->attributes.len + span->events.len + n <= SPAN_BYTES_MAX;
}

void span_add_event(Span *span, uint64_t now_ns, const char *name, size_t n,
                    const Buffer *attributes) {
  if (!span_is_open(span)) return;
  Buffer *b = &span->events;
  size_t before = b->len;
  int64_t at = (int64_t)now_ns + span->day_offset_ns;
  n = utf8_cut(name, n, SPAN_NAME_MAX);
  bool ok = span->event_count < SPAN_EVENTS_MAX && has_room(span, n + attributes->len) &&
            (!before || buffer_add_char(b, ',')) &&
            buffer_printf(b, "{\"timeUnixNano\":\"%lld\",\"name\":", (long long)at) &&
            span_json_string(b, name, n) &&
            (!attributes->len ||
             (buffer_printf(b, ",\"attributes\":[") &&
              buffer_add(b, attributes->data, attributes->len) && buffer_add_char(b, ']'))) &&
            buffer_add_char(b, '}');
  if (ok) {
    span->event_count++;
    return;
  }
  b->len = before;
  span->events_left_out++;
}

static bool add_text(Buffer *b, const char *key, const char *text) {
  Buffer value = {0};
  bool ok = !text ||
            ((!b->len || buffer_add_char(b, ',')) && span_value_text(&value, text, strlen(text)) &&
             span_key_value(b, key, strlen(key), value.data, value.len));
  buffer_free(&value);
  return ok;
}

void span_add_error(Span *span, uint64_t now_ns, const char *type, const char *message,
                    const char *stack) {
  if (!span_is_open(span)) return;
  Buffer attributes = {0};
  if (add_text(&attributes, "exception.type", type) &&
      add_text(&attributes, "exception.message", message) &&
      add_text(&attributes, "exception.stacktrace", stack))
    span_add_event(span, now_ns, "exception", strlen("exception"), &attributes);
  else
    span->events_left_out++;
  buffer_free(&attributes);
  span_set_string(span, "error.type", type);
  span_set_status(span, SPAN_ERROR, message, strlen(message));
}

/* --- attributes --- */

/* In the buffer, each is a head, its key, and its value as JSON. */
typedef struct AttributeHead {
  uint32_t key, value; /* bytes */
} AttributeHead;

static AttributeHead head_at(const Span *span, size_t at) {
  AttributeHead head;
  memcpy(&head, span->attributes.data + at, sizeof head);
  return head;
}

static void remove_key(Span *span, const char *key, size_t n) {
  Buffer *b = &span->attributes;
  for (size_t at = 0; at < b->len;) {
    AttributeHead head = head_at(span, at);
    size_t size = sizeof head + head.key + head.value;
    if (head.key == n && !memcmp(b->data + at + sizeof head, key, n)) {
      memmove(b->data + at, b->data + at + size, b->len - at - size);
      b->len -= size;
      span->attribute_count--;
      return;
    }
    at += size;
  }
}

/* Begins an attribute, whose value is appended to `attributes` then. Returns where it is, or
   NO_ATTRIBUTE: there is no place for it. */
#define NO_ATTRIBUTE SIZE_MAX

static size_t begin_attribute(Span *span, const char *key, size_t n) {
  Buffer *b = &span->attributes;
  AttributeHead head = {(uint32_t)n, 0};
  size_t at = b->len;
  if (!span_is_open(span)) return NO_ATTRIBUTE;
  if (span->attribute_count) {
    remove_key(span, key, n);
    at = b->len;
  }
  if (n > 255 || span->attribute_count >= SPAN_ATTRIBUTES_MAX ||
      !buffer_add(b, &head, sizeof head) || !buffer_add(b, key, n)) {
    b->len = at;
    span->attributes_left_out++;
    return NO_ATTRIBUTE;
  }
  return at;
}

/* Its value is there, unless memory was out. */
static void end_attribute(Span *span, size_t at, bool is_whole) {
  Buffer *b = &span->attributes;
  AttributeHead head = head_at(span, at);
  head.value = (uint32_t)(b->len - at - sizeof head - head.key);
  if (!is_whole || !has_room(span, 0)) {
    b->len = at;
    span->attributes_left_out++;
    return;
  }
  memcpy(b->data + at, &head, sizeof head);
  span->attribute_count++;
}

void span_set_value(Span *span, const char *key, size_t n, const Buffer *value) {
  size_t at = begin_attribute(span, key, n);
  if (at != NO_ATTRIBUTE)
    end_attribute(span, at, buffer_add(&span->attributes, value->data, value->len));
}

void span_set_text(Span *span, const char *key, const char *text, size_t n) {
  size_t at = begin_attribute(span, key, strlen(key));
  if (at != NO_ATTRIBUTE) end_attribute(span, at, span_value_text(&span->attributes, text, n));
}

void span_set_string(Span *span, const char *key, const char *text) {
  if (text) span_set_text(span, key, text, strlen(text));
}

void span_set_integer(Span *span, const char *key, int64_t number) {
  size_t at = begin_attribute(span, key, strlen(key));
  if (at != NO_ATTRIBUTE) end_attribute(span, at, span_value_integer(&span->attributes, number));
}

void span_set_number(Span *span, const char *key, double number) {
  size_t at = begin_attribute(span, key, strlen(key));
  if (at != NO_ATTRIBUTE) end_attribute(span, at, span_value_number(&span->attributes, number));
}

void span_set_boolean(Span *span, const char *key, bool is_true) {
  size_t at = begin_attribute(span, key, strlen(key));
  if (at != NO_ATTRIBUTE) end_attribute(span, at, span_value_boolean(&span->attributes, is_true));
}

void span_set_failure(Span *span, const char *error) {
  if (!error) return;
  if (strcmp(error, "cancelled") == 0) {
    span_set_boolean(span, "moonloop.cancelled", true);
    return;
  }
  span_set_string(span, "error.type", error);
  span_set_status(span, SPAN_ERROR, NULL, 0);
}

bool span_json_attributes(Buffer *b, const Span *span) {
  for (size_t at = 0; at < span->attributes.len;) {
    AttributeHead head = head_at(span, at);
    const char *key = span->attributes.data + at + sizeof head;
    if ((at && !buffer_add_char(b, ',')) ||
        !span_key_value(b, key, head.key, key + head.key, head.value))
      return false;
    at += sizeof head + head.key + head.value;
  }
  return true;
}
