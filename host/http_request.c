#include "http_request.h"

#include "http_response.h"
#include "url.h"

enum { MAX_METHOD = 32 }; /* bytes of a method that could be meant as one */

static HttpProgress bad(HttpRequest *r, unsigned status, const char *detail) {
  /* The first reason stands: llhttp reports the callback's refusal once more. */
  if (!r->error_status) {
    r->error_status = (uint16_t)status;
    r->error_detail = detail;
  }
  return HTTP_BAD;
}

static int refuse(HttpRequest *r, unsigned status, const char *detail) {
  bad(r, status, detail);
  return -1;
}

bool http_name_is(const char *name, size_t n, const char *lower) {
  for (size_t i = 0; i < n; i++) {
    char c = name[i];
    if (c >= 'A' && c <= 'Z') c = (char)(c + 32);
    if (c != lower[i] || !c) return false; /* also at the end of a shorter `lower` */
  }
  return lower[n] == 0;
}

/* A line from `p` to the CRLF before `line_end`, without the space round its value. */
static inline HttpHeader split_line(const char *p, const char *colon, const char *line_end) {
  const char *value = colon + 1, *value_end = line_end - 1;
  while (value < value_end && (*value == ' ' || *value == '\t')) value++;
  while (value_end > value && (value_end[-1] == ' ' || value_end[-1] == '\t')) value_end--;
  return (HttpHeader){p, value, (size_t)(colon - p), (size_t)(value_end - value)};
}

bool http_header_next(const char **lines, size_t *n, HttpHeader *header) {
  if (!*n) return false;
  const char *p = *lines, *end = p + *n;
  const char *colon = memchr(p, ':', *n);
  const char *line_end = memchr(colon, '\n', (size_t)(end - colon));
  *header = split_line(p, colon, line_end);
  *lines = line_end + 1;
  *n = (size_t)(end - line_end - 1);
  return true;
}

/* --- the request target, RFC 9112 section 3.2 --- */

/* Bytes that end a run of plain ones; what is not named is plain. */
enum { TARGET_BAD = 1, PATH_BAD = 2, TARGET_PERCENT = 4, HOST_BAD = 8, HOST_MARK = 16 };
static const uint8_t byte_class[256] = {
    [0 ... ' '] = TARGET_BAD | HOST_BAD,
    ['#'] = TARGET_BAD | HOST_BAD,
    ['\\'] = PATH_BAD | HOST_BAD, /* some file systems take it for a slash */
    [0x7f ... 0xff] = TARGET_BAD | HOST_BAD,
    ['?'] = PATH_BAD | HOST_BAD, /* ends the path */
    ['%'] = TARGET_PERCENT,
    ['@'] = HOST_BAD,
    ['/'] = HOST_BAD,
    [','] = HOST_BAD,
    ['"'] = HOST_BAD,
    ['<'] = HOST_BAD,
    ['>'] = HOST_BAD,
    ['^'] = HOST_BAD,
    ['`'] = HOST_BAD,
    ['{'] = HOST_BAD,
    ['|'] = HOST_BAD,
    ['}'] = HOST_BAD,
    [':'] = HOST_MARK,
    ['['] = HOST_MARK,
    [']'] = HOST_MARK,
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

/* The end of "scheme://authority" of an absolute-form target, or NULL. */
static const char *skip_authority(const char *p, const char *end) {
  size_t n = (size_t)(end - p);
  size_t scheme = n > 7 && http_name_is(p, 7, "http://")    ? 7
                  : n > 8 && http_name_is(p, 8, "https://") ? 8
                                                            : 0;
  const char *host = p + scheme;
  const char *host_end = find_class(host, end, HOST_BAD);
  if (!scheme || !host_ok(host, host_end)) return NULL;
  return host_end == end || *host_end == '/' || *host_end == '?' ? host_end : NULL;
}

/* A target that is no path: the method decides what it may be. Returns where the path begins, or
   NULL when the target was refused. */
static const char *check_other_target(HttpRequest *r, const char *p, const char *end) {
  if (r->method == HTTP_CONNECT) { /* authority-form, with a port: RFC 9112 section 3.2.3 */
    r->no_path = true;
    if (host_ok(p, end) && memchr(p, ':', r->target.len) && end[-1] >= '0' && end[-1] <= '9')
      return p;
    refuse(r, 400, "the target of CONNECT is a host and a port");
    return NULL;
  }
  if (r->target.len == 1 && *p == '*') { /* asterisk-form; M-SEARCH (UPnP) knows no other */
    r->no_path = true;
    if (r->method == HTTP_OPTIONS || r->method == HTTP_MSEARCH) return p;
    refuse(r, 400, "'*' is a target of OPTIONS only");
    return NULL;
  }
  p = skip_authority(p, end); /* absolute-form: the authority is Host's business */
  if (!p) refuse(r, 400, "the request target is not a path");
  return p;
}

/* So far: the version comes behind the target. */
static bool line_is_too_long(const HttpRequest *r) {
  return r->target.at + r->target.len + sizeof " HTTP/1.1" - 1 > r->limits->max_request_line;
}

static int check_target(HttpRequest *r) {
  const char *head = http_request_head(r);
  const char *p = head + r->target.at, *end = p + r->target.len;
  if (line_is_too_long(r)) return refuse(r, 414, "the request line is too long");
  r->no_path = false;
  if (*p != '/' || r->method == HTTP_CONNECT) {
    p = check_other_target(r, p, end);
    if (!p) return -1;
  }
  const char *path = p;
  unsigned stops = TARGET_BAD | PATH_BAD | TARGET_PERCENT;
  bool escaped = false;
  for (; (p = find_class(p, end, stops)) < end && *p == '%'; p++) escaped = true;
  const char *path_end = p;
  r->path_escaped = escaped;
  if (p < end && *p == '?')
    for (p++; (p = find_class(p, end, TARGET_BAD | TARGET_PERCENT)) < end && *p == '%'; p++)
      escaped = true;
  if (p < end) return refuse(r, 400, "invalid character in the request target");
  r->path = (HttpSpan){(uint32_t)(path - head), (uint32_t)(path_end - path)};
  r->query = (HttpSpan){(uint32_t)(path_end - head), (uint32_t)(end - path_end)};
  if (r->query.len) { /* without the '?' */
    r->query.at++;
    r->query.len--;
  }
  if (escaped && !url_percent_ok(path, (size_t)(end - path)))
    return refuse(r, 400, "malformed percent-encoding in the request target");
  /* "http://host?query": an empty path is "/" (RFC 9110 section 4.2.3); one of "://" stands in. */
  if (!r->path.len)
    r->path =
        (HttpSpan){(uint32_t)((const char *)memchr(head + r->target.at, ':', 6) + 2 - head), 1};
  return 0;
}

/* --- the header lines --- */

typedef struct Seen {
  unsigned count, hosts, encodings, lengths;
  unsigned unknown_coding; /* the status for codings other than chunked alone */
} Seen;

/* Other codings, each named once, before "chunked": the frame is clear, only the codings are not
   ours (RFC 9112 section 6.1). */
static bool ends_in_chunked(const char *p, size_t n) {
  static const char chunked[] = "chunked";
  const char *end = p + n, *comma;
  for (;; p = comma + 1) {
    comma = memchr(p, ',', (size_t)(end - p));
    HttpHeader element = split_line(p, p - 1, (comma ? comma : end) + 1);
    bool is_chunked = http_name_is(element.value, element.value_len, chunked);
    if (!comma) return is_chunked;
    if (is_chunked || !element.value_len) return false;
  }
}

/* A header line that decides how the request is framed or routed. */
static int check_header(HttpRequest *r, const HttpHeader *h, Seen *seen) {
  switch (h->name_len) {
  case 4:
    if (!http_name_is(h->name, 4, "host")) break;
    if (seen->hosts++) return refuse(r, 400, "more than one Host header");
    if (!host_ok(h->value, h->value + h->value_len)) return refuse(r, 400, "invalid Host header");
    break;
  case 6:
    if (!http_name_is(h->name, 6, "expect")) break;
    if (!http_name_is(h->value, h->value_len, "100-continue"))
      return refuse(r, 417, "only the expectation 100-continue is supported");
    r->expects = r->minor >= 1; /* HTTP/1.0 knows no interim responses */
    break;
  case 14:
    if (!http_name_is(h->name, 14, "content-length")) break;
    if (seen->lengths++) return refuse(r, 400, "more than one Content-Length header");
    for (size_t i = 0; i < h->value_len; i++)
      if (h->value[i] < '0' || h->value[i] > '9')
        return refuse(r, 400, "invalid Content-Length header");
    break;
  case 17:
    if (!http_name_is(h->name, 17, "transfer-encoding")) break;
    if (r->minor == 0) return refuse(r, 400, "Transfer-Encoding in HTTP/1.0");
    if (seen->encodings++) return refuse(r, 400, "more than one Transfer-Encoding header");
    if (!http_name_is(h->value, h->value_len, "chunked"))
      seen->unknown_coding = ends_in_chunked(h->value, h->value_len) ? 501 : 400;
    break;
  }
  return 0;
}

/* Checks what lies between the target and the end of the head: strict line ends, no folding, no
   space around names (RFC 9112 sections 2.2, 3 and 5). */
static int check_head(HttpRequest *r) {
  const char *head = http_request_head(r), *end = r->in.data + r->in.len;
  const char *p = head + r->target.at + r->target.len;
  if (r->target.at < 2 || p[-(long)r->target.len - 1] != ' ' || p[-(long)r->target.len - 2] <= ' ')
    return refuse(r, 400, "malformed request line");
  if (end - p < 13 || memcmp(p, " HTTP/1.", 8) || p[9] != '\r' || p[10] != '\n')
    return refuse(r, 400, "malformed request line");
  p += 11;
  r->headers.at = (uint32_t)(p - head);
  Seen seen = {0};
  while (!(p[0] == '\r' && p[1] == '\n')) {
    const char *eol = memchr(p, '\n', (size_t)(end - p));
    if (!eol || eol == p || eol[-1] != '\r' || end - eol < 3)
      return refuse(r, 400, "malformed header line");
    const char *colon = memchr(p, ':', (size_t)(eol - p));
    if (!colon || colon == p || colon[-1] <= ' ' || p[0] <= ' ')
      return refuse(r, 400, "malformed header line");
    if (++seen.count > r->limits->max_headers) return refuse(r, 431, "too many headers");
    size_t name_len = (size_t)(colon - p);
    if (name_len == 4 || name_len == 6 || name_len == 14 || name_len == 17) {
      HttpHeader h = split_line(p, colon, eol);
      if (check_header(r, &h, &seen)) return -1;
    }
    p = eol + 1;
  }
  r->headers.len = (uint32_t)(p - head) - r->headers.at;
  if ((size_t)(p + 2 - head) > r->limits->max_header_bytes)
    return refuse(r, 431, "the headers are too large");
  if (!seen.hosts && r->minor >= 1) return refuse(r, 400, "no Host header");
  if (seen.lengths && seen.encodings)
    return refuse(r, 400, "both Content-Length and Transfer-Encoding");
  if (seen.unknown_coding)
    return refuse(r, seen.unknown_coding, "the only supported Transfer-Encoding is chunked");
  return 0;
}

/* --- llhttp's callbacks --- */

static int on_message_begin(llhttp_t *parser) {
  HttpRequest *r = parser->data;
  r->state = REQUEST_IN_HEAD;
  return 0;
}

static int on_url(llhttp_t *parser, const char *at, size_t n) {
  HttpRequest *r = parser->data;
  if (!r->target.len) r->target.at = (uint32_t)(at - http_request_head(r));
  r->target.len += (uint32_t)n;
  return 0;
}

static int on_headers_complete(llhttp_t *parser) {
  HttpRequest *r = parser->data;
  r->method = parser->method;
  r->minor = parser->http_minor;
  if (parser->http_major != 1) return refuse(r, 505, "HTTP Version Not Supported");
  if (check_target(r) || check_head(r)) return -1;
  /* RFC 9112 section 9.3: close wins. What follows CONNECT is meant for a tunnel. */
  unsigned kept = parser->flags & (F_CONNECTION_CLOSE | F_CONNECTION_KEEP_ALIVE);
  r->keep_alive =
      (kept == F_CONNECTION_KEEP_ALIVE || (!kept && r->minor)) && r->method != HTTP_CONNECT;
  r->chunked = (parser->flags & F_CHUNKED) != 0;
  r->content_length = parser->content_length;
  r->state = REQUEST_IN_BODY;
  parser->upgrade = 0; /* an upgrade that nobody offered: an ordinary request, RFC 9110 7.8 */
  return r->chunked || r->content_length ? HPE_PAUSED : 0;
}

static int on_body(llhttp_t *parser, const char *at, size_t n) {
  HttpRequest *r = parser->data;
  if (r->body_total + n > r->max_body) return refuse(r, 413, "Content Too Large");
  r->body_total += n;
  buffer_pool_take(r->pool, &r->body);
  return buffer_add(&r->body, at, n) ? 0 : refuse(r, 503, "out of memory");
}

static int on_message_complete(llhttp_t *parser) {
  HttpRequest *r = parser->data;
  r->state = REQUEST_COMPLETE;
  return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
    .on_message_begin = on_message_begin,
    .on_url = on_url,
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
};

/* --- feeding --- */

void http_request_open(HttpRequest *r, const HttpLimits *limits, BufferPool *pool) {
  llhttp_init(&r->parser, HTTP_REQUEST, &settings);
  r->parser.data = r;
  r->limits = limits;
  r->pool = pool;
  r->max_body = limits->max_body;
}

void http_request_close(HttpRequest *r) {
  buffer_pool_give(r->pool, &r->in);
  buffer_pool_give(r->pool, &r->body);
}

/* A well-formed method that the parser does not know is a 501 (RFC 9110 section 9.1), anything else
   is no request. */
static HttpProgress bad_method(HttpRequest *r) {
  const char *p = http_request_head(r), *end = r->in.data + r->in.len;
  while (p < end && (*p == '\r' || *p == '\n')) p++;
  const char *space = memchr(p, ' ', (size_t)(end - p < MAX_METHOD ? end - p : MAX_METHOD));
  if (space && http_header_name_ok(p, (size_t)(space - p)))
    return bad(r, 501, "the method is not supported");
  return bad(r, 400, "malformed request line");
}

/* A well-formed version that is not ours is a 505, anything else is no request. */
static HttpProgress bad_version(HttpRequest *r) {
  const char *p = http_request_head(r) + r->target.at + r->target.len;
  if (r->in.data + r->in.len - p >= 11 && !memcmp(p, " HTTP/", 6) && p[7] == '.' && p[9] == '\r' &&
      p[10] == '\n' && p[6] >= '1' && p[6] <= '9' && p[8] >= '0' && p[8] <= '9' &&
      !(p[6] == '1' && p[8] <= '1'))
    return bad(r, 505, "HTTP Version Not Supported");
  return bad(r, 400, "malformed HTTP version");
}

static HttpProgress parser_failed(HttpRequest *r, llhttp_errno_t error) {
  switch (error) {
  case HPE_INVALID_METHOD:
    return bad_method(r);
  case HPE_INVALID_VERSION:
    return bad_version(r);
  case HPE_INVALID_URL:
    return bad(r, 400, "malformed request target");
  case HPE_INVALID_HEADER_TOKEN:
    return bad(r, 400, "malformed header line");
  case HPE_INVALID_CONTENT_LENGTH:
  case HPE_UNEXPECTED_CONTENT_LENGTH:
    return bad(r, 400, "invalid Content-Length header");
  case HPE_INVALID_CHUNK_SIZE:
    return bad(r, 400, "malformed chunk");
  case HPE_INVALID_TRANSFER_ENCODING:
    return bad(r, 400, "the only supported Transfer-Encoding is chunked");
  default:
    return bad(r, 400, "malformed request");
  }
}

/* A head that has not ended yet, with `n` new bytes: it may not grow for ever, and a line that
   begins with space (a folded one) will not get better. */
static HttpProgress check_unfinished_head(HttpRequest *r, const char *bytes, size_t n) {
  const char *end = bytes + n, *p = bytes - (r->parsed > n);
  while ((p = memchr(p, '\n', (size_t)(end - p))) && ++p < end)
    if (*p == ' ' || *p == '\t') return bad(r, 400, "malformed header line");
  if (r->target.len && line_is_too_long(r)) return bad(r, 414, "the request line is too long");
  if (r->parsed > r->limits->max_header_bytes) return bad(r, 431, "the headers are too large");
  return HTTP_MORE;
}

/* Chunk framing and trailers are bounded by what they carry: a body of one-byte chunks is fine,
   a 64 kB extension is not. */
static HttpProgress check_framing(HttpRequest *r) {
  if (r->chunked && r->body_raw > 8 * r->body_total + 16 * 1024)
    return bad(r, 400, "too much chunk framing");
  return HTTP_MORE;
}

/* Runs the parser over bytes; `*used` is how many it took. */
static HttpProgress execute(HttpRequest *r, const char *bytes, size_t n, size_t *used) {
  bool body = r->state == REQUEST_IN_BODY;
  llhttp_errno_t error = llhttp_execute(&r->parser, bytes, n);
  *used = n;
  if (error == HPE_OK) {
    if (r->state == REQUEST_IN_HEAD) return check_unfinished_head(r, bytes, n);
    if (body) r->body_raw += n;
    return check_framing(r);
  }
  if (error != HPE_PAUSED) return parser_failed(r, error);
  *used = (size_t)(llhttp_get_error_pos(&r->parser) - bytes);
  llhttp_resume(&r->parser);
  if (r->state != REQUEST_COMPLETE) return HTTP_HEAD_READ;
  if (!body) return HTTP_COMPLETE;
  r->body_raw += *used;
  return check_framing(r) == HTTP_BAD ? HTTP_BAD : HTTP_COMPLETE;
}

bool http_request_keep(HttpRequest *r, const char *bytes, size_t n) {
  buffer_pool_take(r->pool, &r->in);
  if (r->start && r->in.cap - r->in.len < n) { /* make room at the front before growing */
    r->in.len -= r->start;
    memmove(r->in.data, r->in.data + r->start, r->in.len);
    r->start = 0;
  }
  return buffer_add(&r->in, bytes, n);
}

/* Empty lines before a request (RFC 9112 section 2.2) are no part of it, nor of its limits, in
   whatever pieces they come. */
static inline void skip_empty_lines(HttpRequest *r) {
  if (r->state != REQUEST_IDLE || r->parsed) return;
  while (r->start < r->in.len && (r->in.data[r->start] == '\r' || r->in.data[r->start] == '\n'))
    r->start++;
}

HttpProgress http_request_parse(HttpRequest *r) {
  if (r->error_status) return HTTP_BAD;
  skip_empty_lines(r);
  size_t n = http_request_pending(r), used;
  bool body = r->state == REQUEST_IN_BODY;
  const char *from = n ? r->in.data + r->start + r->parsed : "";
  /* Counted before the limits are checked. */
  r->parsed += n;
  HttpProgress progress = execute(r, from, n, &used);
  r->parsed -= n - used;
  if (r->state == REQUEST_IDLE) { /* nothing but empty lines */
    r->in.len = r->start;
    r->parsed = 0;
  }
  if (body && progress == HTTP_MORE) { /* the body has been copied: keep only the head */
    r->parsed = r->headers.at + r->headers.len + 2;
    r->in.len = r->start + r->parsed;
  }
  return progress;
}

HttpProgress http_request_feed(HttpRequest *r, const char *bytes, size_t n) {
  if (r->error_status) return HTTP_BAD;
  if (r->state == REQUEST_IN_BODY && !http_request_pending(r)) {
    size_t used;
    HttpProgress progress = execute(r, bytes, n, &used);
    if (progress == HTTP_COMPLETE && !http_request_keep(r, bytes + used, n - used))
      return bad(r, 503, "out of memory");
    return progress;
  }
  if (!http_request_keep(r, bytes, n)) return bad(r, 503, "out of memory");
  if (r->state == REQUEST_COMPLETE) return HTTP_COMPLETE;
  return http_request_parse(r);
}

void http_request_next(HttpRequest *r) {
  r->start += r->parsed;
  r->parsed = 0;
  if (r->start == r->in.len) {
    r->start = r->in.len = 0;
    buffer_pool_give(r->pool, &r->in);
  }
  r->target.len = 0;
  r->method = HTTP_GET;
  r->expects = false;
  r->body_raw = r->body_total = 0;
  if (r->body.cap) buffer_pool_give(r->pool, &r->body);
  r->max_body = r->limits->max_body;
  r->state = REQUEST_IDLE;
}
