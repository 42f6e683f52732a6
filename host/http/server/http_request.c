#include "http/server/http_request.h"
#include "http/http_header.h"

#include "http/server/http_head.h"
#include "http/server/http_response.h"

enum {
  MAX_METHOD = 32, /* longest possible method in bytes */
  MAX_FRAMING =
      16 * 1024, /* bytes of a chunked body other than data, besides eight for each byte of data */
  VERSION = sizeof " HTTP/1.1" - 1,
};

static HttpProgress bad(HttpRequest *r, unsigned status, const char *detail) {
  http_head_refuse(r, status, detail);
  return HTTP_BAD;
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
  if (parser->http_major != 1) return http_head_refuse(r, 505, "HTTP Version Not Supported");
  if (!http_head_check(r)) return -1;
  /* RFC 9112 section 9.3: close wins. What follows CONNECT is meant for a tunnel. */
  unsigned kept = parser->flags & (F_CONNECTION_CLOSE | F_CONNECTION_KEEP_ALIVE);
  r->keep_alive =
      (kept == F_CONNECTION_KEEP_ALIVE || (!kept && r->minor)) && r->method != HTTP_CONNECT;
  r->chunked = (parser->flags & F_CHUNKED) != 0;
  r->content_length = parser->content_length;
  if (r->chunked) http_chunks_open(&r->chunks, MAX_FRAMING, UINT32_MAX);
  r->state = REQUEST_IN_BODY;
  parser->upgrade = 0; /* an upgrade that we do not offer: an ordinary request, RFC 9110 7.8 */
  return r->chunked || r->content_length ? HPE_PAUSED : 0;
}

/* Gives `b` a buffer for `n` bytes if it has none. */
static void lend(HttpRequest *r, Buffer *b, size_t n) {
  buffer_pool_take(n > r->pool->size ? r->large_pool : r->pool, b);
}

static int take_body(HttpRequest *r, const char *at, size_t n) {
  if (r->body_total + n > r->max_body) return http_head_refuse(r, 413, "Content Too Large");
  r->body_total += n;
  if (r->in_place) { /* never before its own position, since removing framing only makes it shorter
                      */
    char *to = r->body.data + r->body.len;
    if (to != at) memmove(to, at, n);
    r->body.len += n;
    return 0;
  }
  lend(r, &r->body, n);
  return buffer_add(&r->body, at, n) ? 0 : http_head_refuse(r, 503, "out of memory");
}

static int on_body(llhttp_t *parser, const char *at, size_t n) {
  return take_body(parser->data, at, n);
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

/* --- life --- */

void http_request_open(HttpRequest *r, const HttpLimits *limits, BufferPool *pool,
                       BufferPool *large_pool) {
  llhttp_init(&r->parser, HTTP_REQUEST, &settings);
  r->parser.data = r;
  r->limits = limits;
  r->pool = pool;
  r->large_pool = large_pool;
  r->max_body = limits->max_body;
}

void http_request_close(HttpRequest *r) {
  http_request_give(r, &r->in);
  http_request_give(r, &r->body);
}

/* --- refusals --- */

/* The parser does not know the method. A well-formed one is a 501 (RFC 9110 section 9.1); anything
   else is not a request: the first byte that is not part of a method decides. */
static HttpProgress bad_method(HttpRequest *r) {
  const char *method = http_request_head(r);
  size_t n = r->in.len - r->start, at = 0;
  while (at < n && at < MAX_METHOD && http_header_name_ok(method + at, 1)) at++;
  if (at == n && n < MAX_METHOD) return HTTP_MORE;
  if (at && at < MAX_METHOD && method[at] == ' ') return bad(r, 501, "the method is not supported");
  return bad(r, 400, "malformed request line");
}

static HttpProgress parse_head(HttpRequest *r);

/* Reads the head again, as one of HTTP/1.1: a later minor version is a request like it (RFC 9110
   section 2.5), which llhttp does not take. `minor` is its digit. */
static HttpProgress read_as_1_1(HttpRequest *r, size_t minor) {
  r->in.data[minor] = '1';
  r->undecided = 0;
  r->parsed = 0;
  r->target.len = 0;
  r->state = REQUEST_IDLE;
  llhttp_reset(&r->parser);
  return parse_head(r);
}

/* A well-formed but unsupported version is a 505; anything else is not a request. */
static HttpProgress other_version(HttpRequest *r) {
  static const char pattern[] = " HTTP/#.#";
  const char *version = http_request_head(r) + r->target.at + r->target.len;
  size_t n = (size_t)(r->in.data + r->in.len - version), at = 0;
  while (
      at < n && at < VERSION &&
      (pattern[at] == '#' ? version[at] >= '0' && version[at] <= '9' : version[at] == pattern[at]))
    at++;
  if (at == n && n < VERSION) return HTTP_MORE;
  if (at == VERSION && version[6] == '1' && version[8] > '1')
    return read_as_1_1(r, (size_t)(version + 8 - r->in.data));
  if (at == VERSION && version[6] > '1') return bad(r, 505, "HTTP Version Not Supported");
  return bad(r, 400, "malformed HTTP version");
}

/* llhttp has refused the request line: decides the status once that is possible. */
static HttpProgress decide(HttpRequest *r) {
  r->parsed = r->in.len - r->start;
  return r->undecided == HPE_INVALID_METHOD ? bad_method(r) : other_version(r);
}

static HttpProgress parser_failed(HttpRequest *r, llhttp_errno_t error) {
  switch (error) {
  case HPE_INVALID_METHOD:
  case HPE_INVALID_VERSION:
    r->state = REQUEST_IN_HEAD;
    r->undecided = (uint8_t)error;
    return decide(r);
  case HPE_INVALID_URL:
    return bad(r, 400, "malformed request target");
  case HPE_INVALID_HEADER_TOKEN:
    return bad(r, 400, "malformed header line");
  case HPE_INVALID_CONTENT_LENGTH:
  case HPE_UNEXPECTED_CONTENT_LENGTH:
    return bad(r, 400, "invalid Content-Length header");
  case HPE_INVALID_TRANSFER_ENCODING:
    return bad(r, 400, "the only supported Transfer-Encoding is chunked");
  default:
    return bad(r, 400, "malformed request");
  }
}

/* --- the head --- */

/* How much of the head may have come before its target has ended: the version follows it. */
static size_t line_limit(const HttpRequest *r) { return r->limits->max_request_line - VERSION + 1; }

/* The head does not end within the parsed bytes. */
static HttpProgress check_unfinished_head(HttpRequest *r) {
  bool in_target = !r->target.len || r->target.at + r->target.len == r->parsed;
  if (in_target && r->parsed >= line_limit(r)) return bad(r, 414, "the request line is too long");
  if (r->parsed > r->limits->max_header_bytes) return bad(r, 431, "the headers are too large");
  return HTTP_MORE;
}

/* Does a line of the head begin with space, in the bytes from `p` on? Such a folded line is wrong,
   whatever follows. */
static bool has_fold(const HttpRequest *r, const char *p, const char *end) {
  if (p > http_request_head(r)) p--;
  while ((p = memchr(p, '\n', (size_t)(end - p))) && ++p < end)
    if (*p == ' ' || *p == '\t') return true;
  return false;
}

/* Parses `n` bytes more. */
static HttpProgress parse_some_head(HttpRequest *r, size_t n) {
  const char *from = http_request_head(r) + r->parsed;
  llhttp_errno_t error = llhttp_execute(&r->parser, from, n);
  if (error == HPE_PAUSED) {
    r->parsed += (size_t)(llhttp_get_error_pos(&r->parser) - from);
    llhttp_resume(&r->parser);
    return r->state == REQUEST_COMPLETE ? HTTP_COMPLETE : HTTP_HEAD_READ;
  }
  r->parsed += n;
  if (has_fold(r, from, error == HPE_OK ? from + n : llhttp_get_error_pos(&r->parser))) {
    r->error_status = 0; /* regardless of what follows */
    return bad(r, 400, "malformed header line");
  }
  return error == HPE_OK ? check_unfinished_head(r) : parser_failed(r, error);
}

/* Parses what is there, but at most up to a limit at once, so that an error beyond the limit is not
   found first. */
static HttpProgress parse_head(HttpRequest *r) {
  HttpProgress progress = HTTP_MORE;
  for (size_t n; progress == HTTP_MORE && (n = http_request_pending(r));) {
    size_t line = line_limit(r), limit = r->limits->max_header_bytes + 1;
    if (r->parsed < line && line < limit) limit = line;
    progress = parse_some_head(r, n < limit - r->parsed ? n : limit - r->parsed);
  }
  return progress;
}

/* --- the body --- */

static HttpProgress read_chunks(HttpRequest *r, const char *bytes, size_t n, size_t *used) {
  const char *p = bytes, *data;
  size_t len;
  *used = n;
  for (;;) {
    switch (http_chunks_read(&r->chunks, &p, bytes + n, &data, &len)) {
    case HTTP_CHUNKS_MORE:
      return HTTP_MORE;
    case HTTP_CHUNKS_DATA:
      if (take_body(r, data, len)) return HTTP_BAD;
      break;
    case HTTP_CHUNKS_OVER:
      *used = (size_t)(p - bytes);
      r->state = REQUEST_COMPLETE;
      return HTTP_COMPLETE;
    case HTTP_CHUNKS_BAD:
      return bad(r, 400, "malformed chunk");
    default:
      return bad(r, 400, "too much chunk framing");
    }
  }
}

/* Reads a body of Content-Length. */
static HttpProgress read_length(HttpRequest *r, const char *bytes, size_t n, size_t *used) {
  llhttp_errno_t error = llhttp_execute(&r->parser, bytes, n);
  *used = n;
  if (error == HPE_OK) return HTTP_MORE;
  if (error != HPE_PAUSED) return parser_failed(r, error);
  *used = (size_t)(llhttp_get_error_pos(&r->parser) - bytes);
  llhttp_resume(&r->parser);
  return HTTP_COMPLETE;
}

/* Reads bytes of the body; `*used` is how many belonged to it. */
static HttpProgress read_body(HttpRequest *r, const char *bytes, size_t n, size_t *used) {
  HttpProgress progress =
      r->chunked ? read_chunks(r, bytes, n, used) : read_length(r, bytes, n, used);
  r->body_raw += *used;
  return progress;
}

/* --- feeding --- */

bool http_request_keep(HttpRequest *r, const char *bytes, size_t n) {
  lend(r, &r->in, n);
  if (r->start && r->in.cap - r->in.len < n) { /* make room at the front before growing */
    r->in.len -= r->start;
    memmove(r->in.data, r->in.data + r->start, r->in.len);
    r->start = 0;
  }
  return buffer_add(&r->in, bytes, n);
}

/* Empty lines before a request (RFC 9112 section 2.2) do not belong to it or count towards its
   limits, however they are split. */
static inline void skip_empty_lines(HttpRequest *r) {
  if (r->state != REQUEST_IDLE || r->parsed) return;
  while (r->start < r->in.len && (r->in.data[r->start] == '\r' || r->in.data[r->start] == '\n'))
    r->start++;
}

/* The head was read without llhttp. */
static HttpProgress head_was_read(HttpRequest *r) {
  r->body_is_here = r->content_length > 0;
  r->state = r->body_is_here ? REQUEST_IN_BODY : REQUEST_COMPLETE;
  return r->body_is_here ? HTTP_HEAD_READ : HTTP_COMPLETE;
}

static HttpProgress take_body_that_is_here(HttpRequest *r) {
  size_t n = r->content_length;
  r->body_is_here = false;
  if (take_body(r, http_request_head(r) + r->parsed, n)) return HTTP_BAD;
  r->parsed += n;
  r->body_raw = n;
  r->state = REQUEST_COMPLETE;
  return HTTP_COMPLETE;
}

/* What came of the body has been copied: keeps the head alone, and not in a buffer for both. */
static void keep_head(HttpRequest *r) {
  Buffer head = {0};
  r->parsed = r->headers.at + r->headers.len + 2;
  r->in.len = r->start + r->parsed;
  if (r->in.cap <= r->large_pool->size) return;
  lend(r, &head, r->parsed);
  if (buffer_add(&head, http_request_head(r), r->parsed)) {
    http_request_give(r, &r->in);
    r->in = head;
    r->start = 0;
  } else {
    buffer_free(&head);
  }
}

/* Reads the `n` bytes of the body that wait behind the head. Kept out of the way of requests that
   have none, as is feed_body, for their locals. */
__attribute__((noinline)) static HttpProgress parse_body(HttpRequest *r, size_t n) {
  size_t used;
  HttpProgress progress = read_body(r, n ? http_request_head(r) + r->parsed : "", n, &used);
  r->parsed += used;
  if (progress == HTTP_MORE) keep_head(r);
  return progress;
}

HttpProgress http_request_parse(HttpRequest *r) {
  if (r->error_status) return HTTP_BAD;
  if (r->body_is_here) return take_body_that_is_here(r);
  skip_empty_lines(r);
  size_t n = http_request_pending(r);
  if (r->was_last && n) return bad(r, 400, "bytes behind the last request");
  if (r->state == REQUEST_IDLE && !r->parsed && (r->parsed = http_head_read_plain(r, n)))
    return head_was_read(r);
  if (r->undecided) return decide(r);
  return r->state == REQUEST_IN_BODY ? parse_body(r, n) : parse_head(r);
}

/* Reads `n` bytes that have come for the body. */
__attribute__((noinline)) static HttpProgress feed_body(HttpRequest *r, const char *bytes,
                                                        size_t n) {
  size_t used;
  r->in_place = r->body.data && bytes == r->body.data + r->body.len;
  HttpProgress progress = read_body(r, bytes, n, &used);
  r->in_place = false;
  if (progress == HTTP_COMPLETE && !http_request_keep(r, bytes + used, n - used))
    return bad(r, 503, "out of memory");
  return progress;
}

HttpProgress http_request_feed(HttpRequest *r, const char *bytes, size_t n) {
  if (r->error_status) return HTTP_BAD;
  if (r->state == REQUEST_IN_BODY && !http_request_pending(r)) return feed_body(r, bytes, n);
  if (!http_request_keep(r, bytes, n)) return bad(r, 503, "out of memory");
  if (r->state == REQUEST_COMPLETE) return HTTP_COMPLETE;
  return http_request_parse(r);
}

void http_request_next(HttpRequest *r) {
  r->start += r->parsed;
  r->parsed = 0;
  if (r->start == r->in.len) {
    r->start = r->in.len = 0;
    http_request_give(r, &r->in);
  }
  r->was_last = !r->keep_alive;
  /* A trailer does not affect the connection (RFC 9110 section 6.5.1), but llhttp accepts no
     request after `Connection: close` in one. */
  if (r->chunked) llhttp_reset(&r->parser);
  r->target.len = 0;
  r->method = HTTP_GET;
  r->expects = false;
  r->body_raw = r->body_total = 0;
  if (r->body.cap) http_request_give(r, &r->body);
  r->max_body = r->limits->max_body;
  r->state = REQUEST_IDLE;
}
