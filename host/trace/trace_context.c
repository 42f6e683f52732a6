#include "trace/trace_context.h"

#include "base/hex.h"

enum { MEMBERS_MAX = 32, KEY_MAX = 256, VALUE_MAX = 256 };

/* The value of a digit, or -1. Capitals are not allowed. */
static int digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool read_hex(const char *text, size_t n, uint8_t *bytes) {
  for (size_t i = 0; i < n; i++) {
    int high = digit(text[2 * i]), low = digit(text[2 * i + 1]);
    if (high < 0 || low < 0) return false;
    bytes[i] = (uint8_t)(high << 4 | low);
  }
  return true;
}

static bool is_zero(const uint8_t *bytes, size_t n) {
  uint8_t all = 0;
  for (size_t i = 0; i < n; i++) all |= bytes[i];
  return !all;
}

bool trace_context_read(const char *text, size_t size, TraceContext *context) {
  uint8_t version, flags;
  TraceContext c;
  if (size < TRACE_PARENT_LENGTH || text[2] != '-' || text[35] != '-' || text[52] != '-')
    return false;
  if (!read_hex(text, 1, &version) || !read_hex(text + 3, TRACE_ID_BYTES, c.trace_id) ||
      !read_hex(text + 36, TRACE_SPAN_BYTES, c.span_id) || !read_hex(text + 53, 1, &flags))
    return false;
  if (version == 0xFF || is_zero(c.trace_id, sizeof c.trace_id) ||
      is_zero(c.span_id, sizeof c.span_id))
    return false;
  if (size > TRACE_PARENT_LENGTH && (!version || text[TRACE_PARENT_LENGTH] != '-')) return false;
  c.flags = flags & (TRACE_SAMPLED | TRACE_RANDOM);
  *context = c;
  return true;
}

void trace_context_hex(const uint8_t *bytes, size_t n, char *text) { hex_put(text, bytes, n); }

void trace_context_write(const TraceContext *context, char text[TRACE_PARENT_LENGTH]) {
  memcpy(text, "00-", 3);
  trace_context_hex(context->trace_id, TRACE_ID_BYTES, text + 3);
  text[35] = '-';
  trace_context_hex(context->span_id, TRACE_SPAN_BYTES, text + 36);
  text[52] = '-';
  trace_context_hex(&context->flags, 1, text + 53);
}

/* --- tracestate --- */

static bool is_lower_or_digit(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

static bool is_key_char(char c) {
  return is_lower_or_digit(c) || c == '_' || c == '-' || c == '*' || c == '/' || c == '@';
}

/* The length of the key of a valid member, or 0. */
static size_t key_length(const char *member, size_t n) {
  size_t key = 0;
  while (key < n && is_key_char(member[key])) key++;
  if (!key || key > KEY_MAX || key == n || member[key] != '=' || !is_lower_or_digit(*member))
    return 0;
  size_t value = n - key - 1;
  if (!value || value > VALUE_MAX) return 0;
  for (const char *p = member + key + 1; p < member + n; p++)
    if (*p < ' ' || *p > '~' || *p == '=') return 0; /* a comma cannot be there */
  return key;
}

/* Does the list of `n` bytes, joined by commas, have a member with that key? */
static bool has_key(const char *list, size_t n, const char *key, size_t size) {
  for (const char *end = list + n; list < end;) {
    const char *comma = memchr(list, ',', (size_t)(end - list));
    size_t member = (size_t)((comma ? comma : end) - list);
    if (member > size && list[size] == '=' && !memcmp(list, key, size)) return true;
    list += member + 1;
  }
  return false;
}

static bool is_space(char c) { return c == ' ' || c == '\t'; }

bool trace_context_read_state(const char *text, size_t size, Buffer *out) {
  size_t before = out->len, kept = before;
  const char *end = text + size;
  for (int members = 0; text < end;) {
    const char *comma = memchr(text, ',', (size_t)(end - text));
    const char *from = text, *to = comma ? comma : end;
    text = to + 1;
    while (from < to && is_space(*from)) from++;
    while (from < to && is_space(to[-1])) to--;
    if (from == to) continue;
    size_t n = (size_t)(to - from), key = key_length(from, n);
    if (!key || ++members > MEMBERS_MAX ||
        (out->len > before && has_key(out->data + before, out->len - before, from, key)) ||
        (out->len > before && !buffer_add_char(out, ',')) || !buffer_add(out, from, n)) {
      out->len = before;
      return false;
    }
    if (out->len - before <= TRACE_STATE_MAX) kept = out->len;
  }
  out->len = kept;
  return true;
}
