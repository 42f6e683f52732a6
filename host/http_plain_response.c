#include "http_plain_response.h"

#include "http_plain_ordinary.h"
#include <stdio.h>
#include <strings.h>

#define KEPT_BUFFER 2048             /* bytes of a buffer that is kept for the next response */
#define RESERVED_BODY (256u * 1024u) /* bytes that are reserved on a server's word */

/* The first reason stands: llhttp reports a callback's refusal once more. */
static int refuse(PlainResponse *r, const char *kind, const char *code, const char *why) {
  if (!r->error) {
    r->error_kind = kind;
    r->error_code = code;
    r->error = why;
  }
  return -1;
}

static int malformed(PlainResponse *r, const char *why) {
  return refuse(r, "http", "CURLE_WEIRD_SERVER_REPLY", why);
}

static int no_memory(PlainResponse *r) {
  return refuse(r, "http", "CURLE_OUT_OF_MEMORY", "not enough memory for the response");
}

static int too_large(PlainResponse *r) {
  if (r->error) return -1;
  snprintf(r->error_text, sizeof r->error_text,
           "the response's body is over the limit of %zu bytes", r->max_body);
  return refuse(r, "http", "too_large", r->error_text);
}

static PlainResponse *of(llhttp_t *parser) { return parser->data; }

/* --- the head --- */

static int count_head(PlainResponse *r, size_t n) {
  r->head_size += n;
  if (r->head_size <= PLAIN_MAX_HEAD) return 0;
  return refuse(r, "http", "too_large", "the response's headers are too large");
}

static int on_status(llhttp_t *parser, const char *at, size_t n) {
  (void)at;
  return count_head(of(parser), n);
}

static int on_field(llhttp_t *parser, const char *at, size_t n) {
  PlainResponse *r = of(parser);
  if (count_head(r, n)) return -1;
  if (r->head_read || !n) return 0; /* a trailer */
  if (!buffer_reserve(&r->head, n)) return no_memory(r);
  char *out = r->head.data + r->head.len;
  for (size_t i = 0; i < n; i++)
    out[i] = (char)(at[i] >= 'A' && at[i] <= 'Z' ? at[i] + ('a' - 'A') : at[i]);
  r->head.len += n;
  return 0;
}

static int on_field_complete(llhttp_t *parser) {
  PlainResponse *r = of(parser);
  if (++r->fields > PLAIN_MAX_FIELDS)
    return refuse(r, "http", "too_large", "the response has too many headers");
  if (r->head_read) return 0;
  if (r->head.len == r->name_at) return malformed(r, "a header without a name in the response");
  if (!buffer_add(&r->head, ": ", 2)) return no_memory(r);
  r->value_at = r->head.len;
  r->span_end = NULL;
  r->value_cut = false;
  return 0;
}

static int on_value(llhttp_t *parser, const char *at, size_t n) {
  PlainResponse *r = of(parser);
  if (count_head(r, n)) return -1;
  if (r->head_read) return 0;
  /* A line that goes on with the value of the one before (RFC 9112 section 5.2: obs-fold). */
  bool goes_on = at == r->feed_at ? r->value_cut : at == r->span_end;
  if (!goes_on && r->head.len > r->value_at && !buffer_add_char(&r->head, ' ')) return no_memory(r);
  r->span_end = at + n;
  return buffer_add(&r->head, at, n) ? 0 : no_memory(r);
}

static bool name_is(const PlainResponse *r, const char *name, size_t n) {
  return r->value_at - r->name_at == n + 2 && !memcmp(r->head.data + r->name_at, name, n);
}

/* A field is complete: those that say how the body comes are looked at. llhttp has looked at
   Content-Length and Connection. */
static int check_field(PlainResponse *r) {
  const char *value = r->head.data + r->value_at;
  size_t n = r->head.len - r->value_at;
  if (name_is(r, "transfer-encoding", 17)) {
    /* Also a second one is refused: it cannot be told what was meant. */
    if (r->chunked || n != 7 || strncasecmp(value, "chunked", 7))
      return malformed(r, "the response's Transfer-Encoding is not 'chunked'");
    r->chunked = true;
  } else if (name_is(r, "content-encoding", 16)) {
    r->coded = !r->coded_twice && n && content_coding_find(value, n, &r->coding);
    r->coded_twice = true; /* by two codings, one after the other: left as it is */
  }
  return 0;
}

static int on_value_complete(llhttp_t *parser) {
  PlainResponse *r = of(parser);
  if (r->head_read) return 0;
  Buffer *head = &r->head;
  while (head->len > r->value_at &&
         (head->data[head->len - 1] == ' ' || head->data[head->len - 1] == '\t'))
    head->len--;
  if (check_field(r)) return -1;
  if (!buffer_add(head, "\r\n", 2)) return no_memory(r);
  r->name_at = head->len;
  return 0;
}

static void forget_head(PlainResponse *r) {
  r->head.len = r->name_at = 0;
  r->chunked = r->coded = r->coded_twice = false;
}

static int on_headers_complete(llhttp_t *parser) {
  PlainResponse *r = of(parser);
  if (parser->http_major != 1) return malformed(r, "the response is not HTTP/1");
  if (parser->status_code < 100) return malformed(r, "no status in the response");
  if (parser->status_code < 200) {
    if (parser->status_code == 101)
      return malformed(r, "the server switches to a protocol that was not asked for");
    if (++r->fields > PLAIN_MAX_FIELDS) return malformed(r, "too many interim responses");
    forget_head(r);
    return 1;
  }
  r->head_read = true;
  r->status = parser->status_code;
  if (r->answers_head || parser->status_code == 204 || parser->status_code == 304) return 1;
  if (r->coded && !(r->coder = content_decoder_new(r->coding))) return no_memory(r);
  if (parser->flags & F_CONTENT_LENGTH) {
    if (!r->coder && parser->content_length > r->max_body) return too_large(r);
    if (!r->by_pieces &&
        !buffer_reserve(&r->body, parser->content_length < RESERVED_BODY ? parser->content_length
                                                                         : RESERVED_BODY))
      return no_memory(r);
  }
  return 0;
}

/* --- the body --- */

/* What a step of decoding came to. */
static int check_coding(PlainResponse *r, CodingResult result) {
  if (result == CODING_NO_MEMORY) return no_memory(r);
  if (result == CODING_MALFORMED)
    return refuse(r, "http", "CURLE_BAD_CONTENT_ENCODING",
                  "the response's body is not of its Content-Encoding");
  return 0;
}

/* Decodes into a body that is in one piece. */
static int decode(PlainResponse *r, const char *bytes, size_t n) {
  size_t limit = r->max_body == SIZE_MAX ? SIZE_MAX : r->max_body + 1;
  CodingResult result = content_coder_feed(r->coder, &bytes, &n, &r->body, limit);
  if (r->body.len > r->max_body) return too_large(r);
  return check_coding(r, result);
}

/* Adds to a body that is in one piece. */
static int add_to_body(PlainResponse *r, const char *bytes, size_t n) {
  if (r->coder) return decode(r, bytes, n);
  if (n > r->max_body - r->body.len) return too_large(r);
  return buffer_add(&r->body, bytes, n) ? 0 : no_memory(r);
}

static int on_body(llhttp_t *parser, const char *at, size_t n) {
  PlainResponse *r = of(parser);
  if (!r->by_pieces) return add_to_body(r, at, n);
  if (r->taken) { /* what was taken gives way */
    memmove(r->body.data, r->body.data + r->taken, r->body.len - r->taken);
    r->body.len -= r->taken;
    r->taken = 0;
  }
  return buffer_add(&r->body, at, n) ? 0 : no_memory(r);
}

/* A body in one piece is complete. */
static int end_body(PlainResponse *r) {
  return r->coder ? check_coding(r, content_coder_finish(r->coder, &r->body)) : 0;
}

bool plain_response_collect(PlainResponse *r, size_t max_body) {
  Buffer came = r->body;
  r->body = (Buffer){0};
  r->by_pieces = false;
  r->max_body = max_body;
  bool ok = !r->error && !add_to_body(r, came.data, came.len) && !(r->complete && end_body(r));
  buffer_free(&came);
  return ok;
}

static int on_extension(llhttp_t *parser, const char *at, size_t n) {
  PlainResponse *r = of(parser);
  (void)at;
  r->extension_size += n;
  return r->extension_size <= PLAIN_MAX_HEAD ? 0
                                             : malformed(r, "a chunk's extensions are too long");
}

static int on_chunk(llhttp_t *parser) {
  of(parser)->extension_size = 0;
  return 0;
}

static int on_message_complete(llhttp_t *parser) {
  PlainResponse *r = of(parser);
  if (!r->head_read) return 0; /* an interim response */
  if (!r->by_pieces && end_body(r)) return -1;
  r->complete = true;
  /* HTTP/1.0 knows no chunks: where they come from it, the frame is in doubt (RFC 9112 6.1). */
  r->keep_alive = llhttp_should_keep_alive(parser) && !(r->chunked && parser->http_minor == 0) &&
                  !(parser->flags & F_CONNECTION_CLOSE);
  return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
    .on_status = on_status,
    .on_header_field = on_field,
    .on_header_field_complete = on_field_complete,
    .on_header_value = on_value,
    .on_header_value_complete = on_value_complete,
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_chunk_header = on_chunk,
    .on_chunk_extension_name = on_extension,
    .on_chunk_extension_value = on_extension,
    .on_message_complete = on_message_complete,
};

/* --- life --- */

static void empty(Buffer *b) {
  b->len = 0;
  if (b->cap > KEPT_BUFFER) buffer_free(b);
}

void plain_response_reset(PlainResponse *r) {
  content_coder_free(r->coder);
  empty(&r->head);
  empty(&r->body);
  memset(r, 0, offsetof(PlainResponse, head));
}

void plain_response_open(PlainResponse *r, bool answers_head, size_t max_body, bool by_pieces) {
  r->answers_head = answers_head;
  r->max_body = max_body;
  r->by_pieces = by_pieces;
}

void plain_response_close(PlainResponse *r) {
  content_coder_free(r->coder);
  buffer_free(&r->head);
  buffer_free(&r->body);
}

/* --- reading --- */

static void explain(PlainResponse *r, llhttp_errno_t error) {
  if (r->head_read)
    malformed(r, r->chunked ? "malformed chunk in the response" : "malformed response");
  else if (error == HPE_INVALID_CONSTANT)
    refuse(r, "http", "CURLE_UNSUPPORTED_PROTOCOL", "the server does not speak HTTP/1");
  else if (error == HPE_INVALID_VERSION || error == HPE_INVALID_STATUS)
    malformed(r, "malformed status line in the response");
  else if (error == HPE_INVALID_CONTENT_LENGTH || error == HPE_UNEXPECTED_CONTENT_LENGTH)
    malformed(r, "the response's Content-Length is malformed or in doubt");
  else
    malformed(r, "malformed header in the response");
}

bool plain_response_feed(PlainResponse *r, const char *bytes, size_t n) {
  if (r->error) return false;
  if (r->complete) {
    if (n) r->keep_alive = false;
    return true;
  }
  if (!n || plain_response_read_ordinary(r, bytes, n)) return true;
  if (!r->began) {
    llhttp_init(&r->parser, HTTP_RESPONSE, &settings);
    r->parser.data = r;
    r->began = true;
  }
  r->feed_at = bytes;
  llhttp_errno_t error = llhttp_execute(&r->parser, bytes, n);
  r->value_cut = r->span_end == bytes + n;
  r->span_end = NULL;
  if (r->complete) {
    if (llhttp_get_error_pos(&r->parser) != bytes + n) r->keep_alive = false;
    return true;
  }
  if (error == HPE_OK) return true;
  explain(r, error);
  return false;
}

bool plain_response_end(PlainResponse *r) {
  if (r->error) return false;
  if (r->complete) return true;
  if (!r->began) {
    refuse(r, "network", "CURLE_GOT_NOTHING",
           "the server closed the connection without a response");
    return false;
  }
  if (r->head_read)
    llhttp_finish(&r->parser); /* calls on_message_complete where the end is an end */
  r->keep_alive = false;
  if (!r->complete)
    refuse(r, "network", "CURLE_PARTIAL_FILE",
           "the connection was closed in the middle of the response");
  return r->complete && !r->error;
}

/* --- a body in pieces --- */

bool plain_response_take(PlainResponse *r, Buffer *out, size_t max) {
  size_t before = out->len, n = plain_response_waiting(r);
  const char *bytes = n ? r->body.data + r->taken : "";
  if (r->coder) {
    CodingResult result = content_coder_feed(r->coder, &bytes, &n, out, before + max);
    r->taken = r->body.len - n;
    r->coder_full = result == CODING_FULL;
    if (check_coding(r, result)) return false;
    if (r->complete && !n && !r->coder_full) {
      if (check_coding(r, content_coder_finish(r->coder, out))) return false;
      content_coder_free(r->coder);
      r->coder = NULL;
    }
  } else {
    if (n > max) n = max;
    if (!buffer_add(out, bytes, n)) return no_memory(r), false;
    r->taken += n;
  }
  if (r->taken == r->body.len) r->taken = r->body.len = 0;
  r->given += out->len - before;
  if (r->given > r->max_body) return too_large(r), false;
  return true;
}
