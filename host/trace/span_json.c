/* Spans as OTLP's JSON (opentelemetry-proto, trace/v1): ids in hexadecimal, enums as numbers,
   64-bit integers as strings. */
#include "base/utf8.h"
#include "trace/span.h"

#include <math.h>

bool span_json_string(Buffer *b, const char *text, size_t n) {
  const char *end = text + n;
  if (!buffer_add_char(b, '"')) return false;
  while (text < end) {
    const char *from = text;
    while (text < end && (unsigned char)*text >= ' ' && *text != '"' && *text != '\\') {
      unsigned length = utf8_length((const unsigned char *)text, (size_t)(end - text));
      if (!length) break;
      text += length;
    }
    if (!buffer_add(b, from, (size_t)(text - from))) return false;
    if (text == end) break;
    unsigned char c = (unsigned char)*text;
    if (c >= 0x80) {
      text += utf8_broken_length((const unsigned char *)text, (size_t)(end - text));
      if (!buffer_add(b, UTF8_REPLACEMENT, strlen(UTF8_REPLACEMENT))) return false;
      continue;
    }
    text++;
    if (c < ' ' ? !buffer_printf(b, "\\u%04x", c)
                : !buffer_add_char(b, '\\') || !buffer_add_char(b, (char)c))
      return false;
  }
  return buffer_add_char(b, '"');
}

/* `n`, or less: whole characters within SPAN_TEXT_MAX bytes. */
static size_t cut(const char *text, size_t n) {
  if (n <= SPAN_TEXT_MAX) return n;
  n = SPAN_TEXT_MAX;
  while (n && ((unsigned char)text[n] & 0xC0) == 0x80) n--;
  return n;
}

bool span_value_text(Buffer *b, const char *text, size_t n) {
  static const char begin[] = "{\"stringValue\":";
  return buffer_add(b, begin, sizeof begin - 1) && span_json_string(b, text, cut(text, n)) &&
         buffer_add_char(b, '}');
}

bool span_value_integer(Buffer *b, int64_t number) {
  return buffer_printf(b, "{\"intValue\":\"%lld\"}", (long long)number);
}

bool span_value_number(Buffer *b, double number) {
  if (isnan(number)) return buffer_printf(b, "{\"doubleValue\":\"NaN\"}");
  if (isinf(number))
    return buffer_printf(b, "{\"doubleValue\":\"%sInfinity\"}", number < 0 ? "-" : "");
  return buffer_printf(b, "{\"doubleValue\":%.17g}", number);
}

bool span_value_boolean(Buffer *b, bool value) {
  return buffer_printf(b, "{\"boolValue\":%s}", value ? "true" : "false");
}

bool span_key_value(Buffer *b, const char *key, size_t n, const char *value, size_t size) {
  static const char begin[] = "{\"key\":", between[] = ",\"value\":";
  return buffer_add(b, begin, sizeof begin - 1) && span_json_string(b, key, n) &&
         buffer_add(b, between, sizeof between - 1) && buffer_add(b, value, size) &&
         buffer_add_char(b, '}');
}

/* Appends ,"name":"hex of the bytes". */
static bool add_id(Buffer *b, const char *name, const uint8_t *bytes, size_t n) {
  char text[2 * TRACE_ID_BYTES];
  trace_context_hex(bytes, n, text);
  return buffer_printf(b, "%s\":\"%.*s\"", name, (int)(2 * n), text);
}

static bool add_count(Buffer *b, const char *name, uint32_t count) {
  return !count || buffer_printf(b, ",\"%s\":%u", name, count);
}

/* Appends ,"name":[ what `list` has ]. */
static bool add_list(Buffer *b, const char *name, const Buffer *list) {
  return !list->len || (buffer_printf(b, ",\"%s\":[", name) &&
                        buffer_add(b, list->data, list->len) && buffer_add_char(b, ']'));
}

static bool add_attributes(Buffer *b, const Span *span) {
  return !span->attribute_count || (buffer_printf(b, ",\"attributes\":[") &&
                                    span_json_attributes(b, span) && buffer_add_char(b, ']'));
}

static bool add_status(Buffer *b, const Span *span) {
  if (span->status == SPAN_UNSET) return true;
  if (!buffer_printf(b, ",\"status\":{\"code\":%d", span->status)) return false;
  if (span->message.len && !(buffer_printf(b, ",\"message\":") &&
                             span_json_string(b, span->message.data, span->message.len)))
    return false;
  return buffer_add_char(b, '}');
}

/* The low eight bits are those of the context; the others say that it is known whether the parent
   is another program's, and if so. */
static unsigned flags_of(const Span *span) {
  return span->context.flags | 0x100u | (span->parent_remote ? 0x200u : 0u);
}

bool span_json(Buffer *b, const Span *span) {
  int64_t from = (int64_t)span->started_ns + span->day_offset_ns,
          to = (int64_t)span->ended_ns + span->day_offset_ns;
  return add_id(b, "{\"traceId", span->context.trace_id, TRACE_ID_BYTES) &&
         add_id(b, ",\"spanId", span->context.span_id, TRACE_SPAN_BYTES) &&
         (!span->has_parent || add_id(b, ",\"parentSpanId", span->parent_id, TRACE_SPAN_BYTES)) &&
         (!span->state || (buffer_printf(b, ",\"traceState\":") &&
                           span_json_string(b, span->state->text, span->state->size))) &&
         buffer_printf(b, ",\"flags\":%u,\"name\":", flags_of(span)) &&
         span_json_string(b, span->name.data, span->name.len) &&
         buffer_printf(b,
                       ",\"kind\":%d,\"startTimeUnixNano\":\"%lld\",\"endTimeUnixNano\":\"%lld\"",
                       span->kind, (long long)from, (long long)to) &&
         add_attributes(b, span) &&
         add_count(b, "droppedAttributesCount", span->attributes_left_out) &&
         add_list(b, "events", &span->events) &&
         add_count(b, "droppedEventsCount", span->events_left_out) && add_status(b, span) &&
         buffer_add_char(b, '}');
}
