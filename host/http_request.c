#include "http_request.h"

#include "http_head.h"
#include "http_response.h"

enum { MAX_METHOD = 32 }; /* bytes of a method that could be meant as one */

static HttpProgress bad(HttpRequest *r, unsigned status, const char *detail) {
  http_request_refuse(r, status, detail);
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
  if (parser->http_major != 1) return http_request_refuse(r, 505, "HTTP Version Not Supported");
  if (!http_head_check(r)) return -1;
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

/* Gives `b` a buffer for `n` bytes if it has none. */
static void lend(HttpRequest *r, Buffer *b, size_t n) {
  buffer_pool_take(n > r->pool->size ? r->large_pool : r->pool, b);
}

static int take_body(HttpRequest *r, const char *at, size_t n) {
  if (r->body_total + n > r->max_body) return http_request_refuse(r, 413, "Content Too Large");
  r->body_total += n;
  if (r->in_place) { /* not before its place: framing only makes it shorter */
    char *to = r->body.data + r->body.len;
    if (to != at) memmove(to, at, n);
    r->body.len += n;
    return 0;
  }
  lend(r, &r->body, n);
  return buffer_add(&r->body, at, n) ? 0 : http_request_refuse(r, 503, "out of memory");
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

/* --- feeding --- */

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
  if (r->target.len && http_head_line_is_too_long(r))
    return bad(r, 414, "the request line is too long");
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
  lend(r, &r->in, n);
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

HttpProgress http_request_parse(HttpRequest *r) {
  if (r->error_status) return HTTP_BAD;
  if (r->body_is_here) return take_body_that_is_here(r);
  skip_empty_lines(r);
  size_t n = http_request_pending(r), used;
  bool body = r->state == REQUEST_IN_BODY;
  if (r->was_last && n) return bad(r, 400, "bytes behind the last request");
  if (r->state == REQUEST_IDLE && !r->parsed && (r->parsed = http_head_read_plain(r, n)))
    return head_was_read(r);
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
    r->in_place = r->body.data && bytes == r->body.data + r->body.len;
    HttpProgress progress = execute(r, bytes, n, &used);
    r->in_place = false;
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
    http_request_give(r, &r->in);
  }
  r->was_last = !r->keep_alive;
  /* A trailer says nothing about the connection (RFC 9110 section 6.5.1), but llhttp takes no
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
