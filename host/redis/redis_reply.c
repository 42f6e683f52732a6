#include "redis/redis_reply.h"

#include <string.h>

#define MAX_DIGITS 64 /* of a double; longer ones are refused */

int64_t redis_reply_number(const char *digits) {
  bool negative = *digits == '-';
  if (*digits == '-' || *digits == '+') digits++;
  uint64_t n = 0;
  while (*digits >= '0' && *digits <= '9') n = n * 10 + (uint64_t)(*digits++ - '0');
  return (int64_t)(negative ? 0 - n : n);
}

/* Are these the digits of a 64-bit integer? */
static bool is_integer(const char *p, const char *end) {
  bool negative = p < end && *p == '-';
  if (p < end && (*p == '-' || *p == '+')) p++;
  if (p == end || end - p > 19) return false;
  uint64_t n = 0;
  for (; p < end; p++) {
    if (*p < '0' || *p > '9') return false;
    n = n * 10 + (uint64_t)(*p - '0'); /* 19 digits fit */
  }
  return n <= (uint64_t)INT64_MAX + negative;
}

/* A length has no sign. */
static bool is_length(const char *p, const char *end) {
  return p < end && *p >= '0' && *p <= '9' && is_integer(p, end);
}

static bool is_double(const char *p, const char *end) {
  if (p == end || end - p > MAX_DIGITS) return false;
  bool has_digit = false;
  const char *word = *p == '-' ? p + 1 : p;
  if (end - word == 3 && (!memcmp(word, "inf", 3) || !memcmp(word, "nan", 3))) return true;
  for (; p < end; p++) {
    bool digit = *p >= '0' && *p <= '9';
    has_digit |= digit;
    if (!digit && *p != '-' && *p != '+' && *p != '.' && *p != 'e' && *p != 'E') return false;
  }
  return has_digit;
}

static bool is_big(const char *p, const char *end) {
  if (p < end && (*p == '-' || *p == '+')) p++;
  if (p == end) return false;
  while (p < end && *p >= '0' && *p <= '9') p++;
  return p == end;
}

static RedisReplyStep bad(RedisReply *r, const char *error) {
  r->error = error;
  return REDIS_REPLY_BAD;
}

/* A value has ended, and perhaps the lists around it. Has the reply? */
static bool is_over(RedisReply *r) {
  while (r->depth && --r->left[r->depth - 1] == 0) r->depth--;
  return !r->depth;
}

/* A string of a given length: the bytes after the header line, and a line end. */
static RedisReplyStep scan_text(RedisReply *r, const char *bytes, size_t n, size_t line,
                                int64_t len) {
  if (len < 0 || (uint64_t)len > REDIS_REPLY_MAX - line)
    return bad(r, "a string with an invalid length");
  size_t end = line + (size_t)len + 2;
  if (end > n) {
    r->wants = end - n;
    return REDIS_REPLY_MORE;
  }
  if (bytes[end - 2] != '\r' || bytes[end - 1] != '\n')
    return bad(r, "a string that is longer than its length");
  if (bytes[r->at] == '=' && (len < 4 || bytes[line + 3] != ':'))
    return bad(r, "a verbatim string without a format");
  r->at = end;
  return REDIS_REPLY_WHOLE;
}

/* A complete string with a short length, as most values are. False: it is something else, or
   incomplete. */
static bool scan_short(RedisReply *r, const char *bytes, size_t n) {
  const char *p = bytes + r->at, *end = bytes + n;
  if (end - p < 6 || *p != '$') return false;
  size_t len = 0;
  const char *last = p + 4 < end ? p + 4 : end - 1; /* of the digits */
  for (p++; p <= last && *p >= '0' && *p <= '9'; p++) len = len * 10 + (size_t)(*p - '0');
  if (p == bytes + r->at + 1 || (size_t)(end - p) < len + 4 || p[0] != '\r' || p[1] != '\n' ||
      p[len + 2] != '\r' || p[len + 3] != '\n')
    return false;
  r->at = (size_t)(p - bytes) + len + 4;
  return true;
}

/* Begins a list of `count` values. `*empty`: it has none, so it has ended. */
static RedisReplyStep scan_list(RedisReply *r, char type, int64_t count, size_t line, bool *empty) {
  uint64_t values = (uint64_t)count;
  if (count < 0 || values > REDIS_REPLY_MAX) return bad(r, "a list with an invalid length");
  if (type == '>' && r->depth) return bad(r, "a push inside a reply");
  if (type == '>' && !count) return bad(r, "an empty push");
  if (type == '%' || type == '|') values *= 2;
  if (type == '|') values++; /* and the value that they belong to */
  r->at = line;
  *empty = !values;
  if (!values) return REDIS_REPLY_WHOLE;
  if (r->depth == REDIS_REPLY_DEPTH) return bad(r, "lists nested too deeply");
  r->left[r->depth++] = values;
  return REDIS_REPLY_WHOLE;
}

/* The value whose header line is `bytes[r->at..line)`. WHOLE: continue after it; `*opens`: it is a
 * list whose values follow. */
static RedisReplyStep scan_value(RedisReply *r, const char *bytes, size_t n, size_t line,
                                 bool *opens) {
  char type = bytes[r->at];
  const char *p = bytes + r->at + 1, *end = bytes + line - 2;
  bool empty = false;
  RedisReplyStep step;
  switch (type) {
  case '+':
  case '-':
    break;
  case ':':
    if (!is_integer(p, end)) return bad(r, "an invalid integer");
    break;
  case ',':
    if (!is_double(p, end)) return bad(r, "an invalid double");
    break;
  case '(':
    if (!is_big(p, end)) return bad(r, "an invalid big number");
    break;
  case '#':
    if (end - p != 1 || (*p != 't' && *p != 'f')) return bad(r, "an invalid boolean");
    break;
  case '_':
    if (p != end) return bad(r, "an invalid null");
    break;
  case '$':
  case '=':
  case '!':
    if (type == '$' && end - p == 2 && !memcmp(p, "-1", 2)) break;
    if (!is_length(p, end)) return bad(r, "a string without a valid length");
    return scan_text(r, bytes, n, line, redis_reply_number(p));
  case '*':
  case '~':
  case '>':
  case '%':
  case '|':
    if (type == '*' && end - p == 2 && !memcmp(p, "-1", 2)) break;
    if (!is_length(p, end)) return bad(r, "a list without a valid length");
    step = scan_list(r, type, redis_reply_number(p), line, &empty);
    *opens = !empty;
    return step;
  default:
    return bad(r, "an unknown type");
  }
  r->at = line;
  return REDIS_REPLY_WHOLE;
}

RedisReplyStep redis_reply_scan(RedisReply *r, const char *bytes, size_t n) {
  r->wants = 0;
  for (;;) {
    if (scan_short(r, bytes, n)) {
      if (is_over(r)) return REDIS_REPLY_WHOLE;
      continue;
    }
    size_t from = r->looked > r->at ? r->looked : r->at;
    const char *end = from < n ? memchr(bytes + from, '\n', n - from) : NULL;
    if (!end) {
      r->looked = n;
      if (n - r->at > REDIS_REPLY_MAX_LINE) return bad(r, "a line that is too long");
      return REDIS_REPLY_MORE;
    }
    size_t line = (size_t)(end - bytes) + 1;
    if (line - r->at > REDIS_REPLY_MAX_LINE) return bad(r, "a line that is too long");
    if (line > REDIS_REPLY_MAX) return bad(r, "a reply that is too long");
    if (line - r->at < 3 || memchr(bytes + r->at, '\r', line - r->at) != end - 1)
      return bad(r, "an invalid line");
    r->looked = line - 1; /* an incomplete string is scanned again from its header line */
    bool opens = false;
    RedisReplyStep step = scan_value(r, bytes, n, line, &opens);
    if (step != REDIS_REPLY_WHOLE) return step;
    if (!opens && is_over(r)) return REDIS_REPLY_WHOLE;
  }
}

bool redis_reply_pass_string(RedisReply *r) {
  r->at = r->looked = r->wants = 0;
  return is_over(r);
}
