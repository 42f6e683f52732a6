/* Spans as OTLP's JSON (opentelemetry-proto, trace/v1): ids in hexadecimal, enums as numbers,
   64-bit integers as strings. */
#include "base/utf8.h"
#include "trace/span.h"
#include "json/json_scan.h"

#include <math.h>

bool span_json_string(Buffer *b, const char *text, size_t n) {
  const char *end = text + n;
  if (!buffer_add_char(b, '"')) return false;
  while (text < end) {
    const char *from = text;
    text = json_skip_plain(text, end);
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

bool span_value_text(Buffer *b, const char *text, size_t n) {
  static const char begin[] = "{\"stringValue\":";
  return buffer_add(b, begin, sizeof begin - 1) &&
         span_json_string(b, text, utf8_cut(text, n, SPAN_TEXT_MAX)) && buffer_add_char(b, '}');
}

/* Appends a literal. */
#define ADD(b, text) buffer_add(b, "" text, sizeof text - 1)

static bool add_integer(Buffer *b, int64_t number) {
  char digits[24], *at = digits + sizeof digits;
  uint64_t left = number < 0 ? -(uint64_t)number : (uint64_t)number;
  do *--at = (char)('0' + left % 10);
  while (left /= 10);
  if (number < 0) *--at = '-';
  return buffer_add(b, at, (size_t)(digits + sizeof digits - at));
}

bool span_value_integer(Buffer *b, int64_t number) {
  return ADD(b, "{\"intValue\":\"") && add_integer(b, number) && ADD(b, "\"}");
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

static bool add_id(Buffer *b, const uint8_t *bytes, size_t n) {
  char text[2 * TRACE_ID_BYTES];
  trace_context_hex(bytes, n, text);
  return buffer_add(b, text, 2 * n) && buffer_add_char(b, '"');
}

static bool add_attributes(Buffer *b, const Span *span) {
  if (!span->attribute_count) return true;
  return ADD(b, ",\"attributes\":[") && span_json_attributes(b, span) && buffer_add_char(b, ']');
}

static bool add_events(Buffer *b, const Buffer *events) {
  if (!events->len) return true;
  return ADD(b, ",\"events\":[") && buffer_add(b, events->data, events->len) &&
         buffer_add_char(b, ']');
}

static bool add_left_out(Buffer *b, const Span *span) {
  return (!span->attributes_left_out ||
          (ADD(b, ",\"droppedAttributesCount\":") && add_integer(b, span->attributes_left_out))) &&
         (!span->events_left_out ||
          (ADD(b, ",\"droppedEventsCount\":") && add_integer(b, span->events_left_out)));
}

static bool add_status(Buffer *b, const Span *span) {
  if (span->status == SPAN_UNSET) return true;
  if (!ADD(b, ",\"status\":{\"code\":") || !add_integer(b, span->status)) return false;
  if (span->message.len &&
      !(ADD(b, ",\"message\":") && span_json_string(b, span->message.data, span->message.len)))
    return false;
  return buffer_add_char(b, '}');
}

static bool add_ids(Buffer *b, const Span *span) {
  return ADD(b, "{\"traceId\":\"") && add_id(b, span->context.trace_id, TRACE_ID_BYTES) &&
         ADD(b, ",\"spanId\":\"") && add_id(b, span->context.span_id, TRACE_SPAN_BYTES) &&
         (!span->has_parent ||
          (ADD(b, ",\"parentSpanId\":\"") && add_id(b, span->parent_id, TRACE_SPAN_BYTES))) &&
         (!span->state || (ADD(b, ",\"traceState\":") &&
                           span_json_string(b, span->state->text, span->state->size)));
}

static bool add_times(Buffer *b, const Span *span) {
  return ADD(b, ",\"startTimeUnixNano\":\"") &&
         add_integer(b, (int64_t)span->started_ns + span->day_offset_ns) &&
         ADD(b, "\",\"endTimeUnixNano\":\"") &&
         add_integer(b, (int64_t)span->ended_ns + span->day_offset_ns) && buffer_add_char(b, '"');
}

/* The low eight bits are those of the context; the others say that it is known whether the parent
   is another program's, and if so. */
static unsigned flags_of(const Span *span) {
  return span->context.flags | 0x100u | (span->parent_remote ? 0x200u : 0u);
}

bool span_json(Buffer *b, const Span *span) {
  return add_ids(b, span) && ADD(b, ",\"flags\":") && add_integer(b, flags_of(span)) &&
         ADD(b, ",\"name\":") && span_json_string(b, span->name.data, span->name.len) &&
         ADD(b, ",\"kind\":") && add_integer(b, span->kind) && add_times(b, span) &&
         add_attributes(b, span) && add_events(b, &span->events) && add_left_out(b, span) &&
         add_status(b, span) && buffer_add_char(b, '}');
}
