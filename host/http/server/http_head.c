#include "http/server/http_head.h"

#include "base/url.h"
#include "base/word.h"

int http_head_refuse(HttpRequest *r, unsigned status, const char *detail) {
  if (!r->error_status) { /* llhttp reports the callback's refusal once more */
    r->error_status = (uint16_t)status;
    r->error_detail = detail;
  }
  return -1;
}

static bool refuse(HttpRequest *r, unsigned status, const char *detail) {
  return !http_head_refuse(r, status, detail);
}

/* --- the request target, RFC 9112 section 3.2 --- */

/* Classes of bytes that end a run of plain ones; bytes not listed are plain. */
enum {
  TARGET_BAD = 1,
  PATH_BAD = 2,
  TARGET_PERCENT = 4,
  HOST_BAD = 8,
  HOST_MARK = 16,
  NAME_BAD = 32, /* not part of a token, RFC 9110 section 5.6.2 */
};
static const uint8_t byte_class[256] = {
    [0 ... ' '] = TARGET_BAD | HOST_BAD | NAME_BAD,
    ['#'] = TARGET_BAD | HOST_BAD,
    ['\\'] = PATH_BAD | HOST_BAD | NAME_BAD, /* some file systems treat it as a slash */
    [0x7f ... 0xff] = TARGET_BAD | HOST_BAD | NAME_BAD,
    ['?'] = PATH_BAD | HOST_BAD | NAME_BAD, /* ends the path */
    ['%'] = TARGET_PERCENT,
    ['@'] = HOST_BAD | NAME_BAD,
    ['/'] = HOST_BAD | NAME_BAD,
    [','] = HOST_BAD | NAME_BAD,
    ['"'] = HOST_BAD | NAME_BAD,
    ['<'] = HOST_BAD | NAME_BAD,
    ['>'] = HOST_BAD | NAME_BAD,
    ['^'] = HOST_BAD,
    ['`'] = HOST_BAD,
    ['{'] = HOST_BAD | NAME_BAD,
    ['|'] = HOST_BAD,
    ['}'] = HOST_BAD | NAME_BAD,
    [':'] = HOST_MARK | NAME_BAD,
    ['['] = HOST_MARK | NAME_BAD,
    [']'] = HOST_MARK | NAME_BAD,
    ['('] = NAME_BAD,
    [')'] = NAME_BAD,
    [';'] = NAME_BAD,
    ['='] = NAME_BAD,
};

/* The first byte from `p` on that has one of the classes, or `end`. */
static inline const char *find_class(const char *p, const char *end, unsigned classes) {
#define CLASS_AT(i) byte_class[(unsigned char)p[i]]
  while (end - p >= 4 && !((CLASS_AT(0) | CLASS_AT(1) | CLASS_AT(2) | CLASS_AT(3)) & classes))
    p += 4;
  while (p < end && !(CLASS_AT(0) & classes)) p++;
#undef CLASS_AT
  return p;
}

/* "[" IPv6 address "]" */
static bool bracketed_ok(const char *p, const char *end) {
  do p = find_class(p + 1, end, HOST_BAD | HOST_MARK);
  while (p < end && *p == ':');
  return p < end && *p == ']' && p + 1 == end;
}

/* uri-host [ ":" port ], RFC 9110 section 7.2: no user, no path, no list. */
static inline bool host_ok(const char *host, const char *end) {
  const char *port = end;
  while (port > host && port[-1] >= '0' && port[-1] <= '9') port--;
  if (port > host && port[-1] == ':') end = port - 1;
  if (host == end) return false;
  if (*host == '[') return bracketed_ok(host, end);
  return find_class(host, end, HOST_BAD | HOST_MARK) == end;
}

bool http_head_host_ok(const char *host, const char *end) { return host_ok(host, end); }

/* The end of "scheme://authority" of an absolute-form target, or NULL. */
static const char *skip_authority(const char *p, const char *end) {
  size_t n = (size_t)(end - p);
  size_t scheme = n > 7 && http_header_is(p, 7, "http://")    ? 7
                  : n > 8 && http_header_is(p, 8, "https://") ? 8
                                                              : 0;
  const char *host = p + scheme;
  const char *host_end = find_class(host, end, HOST_BAD);
  if (!scheme || !host_ok(host, host_end)) return NULL;
  return host_end == end || *host_end == '/' || *host_end == '?' ? host_end : NULL;
}

/* A target that is not a path: the method decides what it may be. Returns the start of the path, or
   NULL if the target was refused. */
static const char *check_other_target(HttpRequest *r, const char *p, const char *end) {
  if (r->method == HTTP_CONNECT) { /* authority-form, with a port: RFC 9112 section 3.2.3 */
    r->no_path = true;
    if (host_ok(p, end) && memchr(p, ':', r->target.len) && end[-1] >= '0' && end[-1] <= '9')
      return p;
    refuse(r, 400, "the target of CONNECT is a host and a port");
    return NULL;
  }
  if (r->target.len == 1 && *p == '*') { /* asterisk-form; M-SEARCH (UPnP) has no other */
    r->no_path = true;
    if (r->method == HTTP_OPTIONS || r->method == HTTP_MSEARCH) return p;
    refuse(r, 400, "'*' is a target of OPTIONS only");
    return NULL;
  }
  p = skip_authority(p, end); /* absolute-form: the authority is checked as a Host */
  if (!p) refuse(r, 400, "the request target is not a path");
  return p;
}

static bool check_target(HttpRequest *r) {
  const char *head = http_request_head(r);
  const char *p = head + r->target.at, *end = p + r->target.len;
  if (r->target.at + r->target.len + sizeof " HTTP/1.1" - 1 > r->limits->max_request_line)
    return refuse(r, 414, "the request line is too long");
  r->no_path = false;
  if (*p != '/' || r->method == HTTP_CONNECT) {
    p = check_other_target(r, p, end);
    if (!p) return false;
  }
  const char *path = p;
  unsigned stops = TARGET_BAD | PATH_BAD | TARGET_PERCENT;
  bool escaped = false;
  for (; (p = find_class(p, end, stops)) < end && *p == '%'; p++) escaped = true;
  const char *path_end = p;
  r->path_escaped = escaped;
  if (p < end && *p == '?') p = find_class(p + 1, end, TARGET_BAD);
  if (p < end) return refuse(r, 400, "invalid character in the request target");
  r->path = (HttpSpan){(uint32_t)(path - head), (uint32_t)(path_end - path)};
  r->query = (HttpSpan){(uint32_t)(path_end - head), (uint32_t)(end - path_end)};
  if (r->query.len) { /* without the '?' */
    r->query.at++;
    r->query.len--;
  }
  if (escaped && !url_percent_ok(path, r->path.len))
    return refuse(r, 400, "malformed percent-encoding in the path");
  if (escaped && !url_decodes_to_utf8(path, r->path.len))
    return refuse(r, 400, "the path is not UTF-8");
  /* "http://host?query": an empty path is "/" (RFC 9110 section 4.2.3); a slash of "://" is used
     for it. */
  if (!r->path.len)
    r->path =
        (HttpSpan){(uint32_t)((const char *)memchr(head + r->target.at, ':', 6) + 2 - head), 1};
  return true;
}

/* --- the header lines --- */

/* Those that are looked at, by the length of their names: see check_header. */
#define KNOWN_LENGTHS (1u << 4 | 1u << 6 | 1u << 10 | 1u << 11 | 1u << 14 | 1u << 16 | 1u << 17)

typedef struct Seen {
  unsigned count, hosts, encodings, lengths;
  unsigned unknown_coding; /* the status for anything but chunked alone */
  uint64_t length;         /* Content-Length, of no more than 18 digits */
  bool close, other;       /* Connection: close, and something else */
} Seen;

/* Other codings, each named once, before "chunked": the framing is clear, only the codings are not
   supported (RFC 9112 section 6.1). */
static bool ends_in_chunked(const char *p, size_t n) {
  static const char chunked[] = "chunked";
  const char *end = p + n, *comma;
  for (;; p = comma + 1) {
    comma = memchr(p, ',', (size_t)(end - p));
    HttpHeader element = http_header_split(p, p - 1, (comma ? comma : end) + 1);
    bool is_chunked = http_header_is(element.value, element.value_len, chunked);
    if (!comma) return is_chunked;
    if (is_chunked || !element.value_len) return false;
  }
}

static void note_connection(const HttpHeader *h, Seen *seen) {
  bool close = http_header_is(h->value, h->value_len, "close");
  if (close)
    seen->close = true;
  else if (!http_header_is(h->value, h->value_len, "keep-alive"))
    seen->other = true;
  if (h->value[h->value_len] != '\r') seen->other = true; /* space after it */
}

/* Host, the one name that every request has: four bytes, compared ignoring case in one step. */
static inline bool is_host(const char *name) {
  uint32_t word, host;
  memcpy(&word, name, 4);
  memcpy(&host, "host", 4);
  return (word | 0x20202020) == host;
}

/* Checks a header line that decides how the request is framed or routed, or notes that it is there
   for those who would have to look for it in each request. */
static bool check_header(HttpRequest *r, const HttpHeader *h, Seen *seen) {
  switch (h->name_len) {
  case 4:
    if (!is_host(h->name)) break;
    if (seen->hosts++) return refuse(r, 400, "more than one Host header");
    if (!host_ok(h->value, h->value + h->value_len)) return refuse(r, 400, "invalid Host header");
    break;
  case 6:
    if (!http_header_is(h->name, 6, "expect")) break;
    if (!http_header_is(h->value, h->value_len, "100-continue"))
      return refuse(r, 417, "only the expectation 100-continue is supported");
    r->expects = r->minor >= 1; /* HTTP/1.0 has no interim responses */
    break;
  case 10:
    if (http_header_is(h->name, 10, "connection")) note_connection(h, seen);
    break;
  case 11:
    if (http_header_is(h->name, 11, "traceparent")) r->has_traceparent = true;
    break;
  case 14:
    if (!http_header_is(h->name, 14, "content-length")) break;
    if (seen->lengths++) return refuse(r, 400, "more than one Content-Length header");
    for (size_t i = 0; i < h->value_len; i++) {
      if (h->value[i] < '0' || h->value[i] > '9')
        return refuse(r, 400, "invalid Content-Length header");
      seen->length = seen->length * 10 + (unsigned)(h->value[i] - '0');
    }
    /* llhttp refuses a tab after it. */
    if (h->value_len < 1 || h->value_len > 18 || h->value[h->value_len] != '\r') seen->other = true;
    break;
  case 16: /* some clients' name for Connection, which llhttp knows */
    if (http_header_is(h->name, 16, "proxy-connection")) seen->other = true;
    break;
  case 17:
    if (!http_header_is(h->name, 17, "transfer-encoding")) break;
    if (r->minor == 0) return refuse(r, 400, "Transfer-Encoding in HTTP/1.0");
    if (seen->encodings++) return refuse(r, 400, "more than one Transfer-Encoding header");
    if (!http_header_is(h->value, h->value_len, "chunked"))
      seen->unknown_coding = ends_in_chunked(h->value, h->value_len) ? 501 : 400;
    break;
  }
  return true;
}

/* The first byte in or after a header's value that is not part of it. */
static inline const char *find_value_end(const char *p, const char *end) {
  for (;; p++) {
    for (; end - p >= 8; p += 8) {
      uint64_t w = word_load(p), del = w ^ WORD_ONES * 0x7f;
      uint64_t controls = (((w - WORD_ONES * ' ') & ~w) | ((del - WORD_ONES) & ~del)) & WORD_TOPS;
      if (!controls) continue;
      p += word_before(controls);
      break;
    }
    while (p < end && (unsigned char)*p >= ' ' && *p != 0x7f) p++;
    if (p == end || *p != '\t') return p;
  }
}

/* Checks the lines from `p` on to the end of the head, which is before `end`: strict line ends, no
   folding, no space around names (RFC 9112 sections 2.2, 3 and 5). False: the request was
   refused. */
static bool check_lines(HttpRequest *r, const char *p, const char *end, Seen *seen) {
  const char *head = http_request_head(r);
  r->headers.at = (uint32_t)(p - head);
  r->has_traceparent = false;
  while (end - p >= 2 && !(p[0] == '\r' && p[1] == '\n')) {
    const char *colon = find_class(p, end, NAME_BAD);
    const char *value_end = find_value_end(colon, end);
    if (colon == p || end - value_end < 2 || *colon != ':' || value_end[0] != '\r' ||
        value_end[1] != '\n')
      return refuse(r, 400, "malformed header line");
    if (++seen->count > r->limits->max_headers) return refuse(r, 431, "too many headers");
    size_t name_len = (size_t)(colon - p);
    if (name_len < 32 && KNOWN_LENGTHS & 1u << name_len) {
      HttpHeader h = http_header_split(p, colon, value_end + 1);
      if (!check_header(r, &h, seen)) return false;
    }
    p = value_end + 2;
  }
  if (end - p < 2) return refuse(r, 400, "malformed header line");
  r->headers.len = (uint32_t)(p - head) - r->headers.at;
  if ((size_t)(p + 2 - head) > r->limits->max_header_bytes)
    return refuse(r, 431, "the headers are too large");
  if (!seen->hosts && r->minor >= 1) return refuse(r, 400, "no Host header");
  if (seen->lengths && seen->encodings)
    return refuse(r, 400, "both Content-Length and Transfer-Encoding");
  if (seen->unknown_coding)
    return refuse(r, seen->unknown_coding, "the only supported Transfer-Encoding is chunked");
  return true;
}

bool http_head_check(HttpRequest *r) {
  const char *head = http_request_head(r), *end = r->in.data + r->in.len;
  const char *p = head + r->target.at + r->target.len;
  Seen seen = {0};
  if (!check_target(r)) return false;
  if (r->target.at < 2 || p[-(long)r->target.len - 1] != ' ' || p[-(long)r->target.len - 2] <= ' ')
    return refuse(r, 400, "malformed request line");
  if (end - p < 11 || memcmp(p, " HTTP/1.", 8) || p[9] != '\r' || p[10] != '\n')
    return refuse(r, 400, "malformed request line");
  return check_lines(r, p + 11, end, &seen);
}

/* The length of "GET " or "POST " at the start of the request, or 0. */
static inline size_t read_plain_method(HttpRequest *r, const char *head) {
  static const char get[] = "GET ", post[] = "POST ";
  if (!memcmp(head, get, sizeof get - 1)) {
    r->method = HTTP_GET;
    return sizeof get - 1;
  }
  if (memcmp(head, post, sizeof post - 1) != 0) return 0;
  r->method = HTTP_POST;
  return sizeof post - 1;
}

/* If the request ends within these bytes: the length of its head. */
static inline size_t read_plain(HttpRequest *r, const char *head, const char *end, Seen *seen) {
  static const char version[] = " HTTP/1.1\r\n";
  size_t at = read_plain_method(r, head);
  const char *target = head + at;
  if (!at || *target != '/') return 0;
  const char *space = memchr(target, ' ', (size_t)(end - target));
  if (!space || end - space < 13 || memcmp(space, version, sizeof version - 1)) return 0;
  r->target = (HttpSpan){(uint32_t)at, (uint32_t)(space - target)};
  r->minor = 1;
  if (!check_target(r) || !check_lines(r, space + sizeof version - 1, end, seen)) return 0;
  if (seen->encodings || seen->other || r->expects) return 0;
  size_t n = r->headers.at + r->headers.len + 2;
  return seen->length <= (size_t)(end - head) - n ? n : 0;
}

size_t http_head_read_plain(HttpRequest *r, size_t n) {
  if (n < sizeof "GET / HTTP/1.1\r\n\r\n" - 1) return 0; /* there may not even be a buffer */
  const char *head = http_request_head(r);
  uint8_t minor = r->minor;
  Seen seen = {0};
  size_t length = read_plain(r, head, head + n, &seen);
  if (!length) { /* llhttp has the last word */
    r->error_status = 0;
    r->target.len = 0;
    r->method = HTTP_GET;
    r->minor = minor;
    r->expects = false;
    return 0;
  }
  r->keep_alive = !seen.close;
  r->chunked = false;
  r->content_length = seen.length;
  return length;
}
