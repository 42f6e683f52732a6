#include "http/client/client_response.h"

#include "http/client/client_response_ordinary.h"
#include <stdio.h>
#include <strings.h>

#define KEPT_BUFFER 2048             /* largest buffer that is kept for the next response */
#define RESERVED_BODY (256u * 1024u) /* most bytes reserved because a server announces them */

/* The first reason is kept, since llhttp reports a callback's refusal again. */
static int refuse(ClientResponse *r, const char *kind, const char *code, const char *why) {
  if (!r->error) {
    r->error_kind = kind;
    r->error_code = code;
    r->error = why;
  }
  return -1;
}

int client_response_malformed(ClientResponse *r, const char *why) {
  return refuse(r, "http", "BAD_RESPONSE", why);
}

int client_response_no_memory(ClientResponse *r) {
  return refuse(r, "http", "ENOMEM", "not enough memory for the response");
}

static int too_large(ClientResponse *r) {
  if (r->error) return -1;
  snprintf(r->error_text, sizeof r->error_text,
           "the response's body is over the limit of %zu bytes", r->max_body);
  return refuse(r, "http", "too_large", r->error_text);
}

static ClientResponse *of(llhttp_t *parser) { return parser->data; }

/* --- the head --- */

int client_response_count_head(ClientResponse *r, size_t n) {
  r->head_size += n;
  if (r->head_size <= CLIENT_MAX_HEAD) return 0;
  return refuse(r, "http", "too_large", "the response's headers are too large");
}

static int on_status(llhttp_t *parser, const char *at, size_t n) {
  (void)at;
  return client_response_count_head(of(parser), n);
}

static int on_field(llhttp_t *parser, const char *at, size_t n) {
  ClientResponse *r = of(parser);
  if (client_response_count_head(r, n)) return -1;
  if (!n) return 0;
  if (!buffer_reserve(&r->head, n)) return client_response_no_memory(r);
  char *out = r->head.data + r->head.len;
  for (size_t i = 0; i < n; i++)
    out[i] = (char)(at[i] >= 'A' && at[i] <= 'Z' ? at[i] + ('a' - 'A') : at[i]);
  r->head.len += n;
  return 0;
}

int client_response_count_field(ClientResponse *r) {
  if (++r->fields <= CLIENT_MAX_FIELDS) return 0;
  return refuse(r, "http", "too_large", "the response has too many headers");
}

static int on_field_complete(llhttp_t *parser) {
  ClientResponse *r = of(parser);
  if (client_response_count_field(r)) return -1;
  if (r->head.len == r->name_at)
    return client_response_malformed(r, "a header without a name in the response");
  if (!buffer_add(&r->head, ": ", 2)) return client_response_no_memory(r);
  r->value_at = r->head.len;
  r->span_end = NULL;
  r->value_cut = false;
  return 0;
}

static int on_value(llhttp_t *parser, const char *at, size_t n) {
  ClientResponse *r = of(parser);
  if (client_response_count_head(r, n)) return -1;
  /* A line that continues the value of the previous one (RFC 9112 section 5.2: obs-fold). */
  bool goes_on = at == r->feed_at ? r->value_cut : at == r->span_end;
  if (!goes_on && r->head.len > r->value_at && !buffer_add_char(&r->head, ' '))
    return client_response_no_memory(r);
  r->span_end = at + n;
  return buffer_add(&r->head, at, n) ? 0 : client_response_no_memory(r);
}

static bool name_is(const ClientResponse *r, const char *name, size_t n) {
  return r->value_at - r->name_at == n + 2 && !memcmp(r->head.data + r->name_at, name, n);
}

/* A field is complete: checks those that say how the body comes. llhttp has checked Content-Length
   and Connection. */
static int check_field(ClientResponse *r) {
  const char *value = r->head.data + r->value_at;
  size_t n = r->head.len - r->value_at;
  if (name_is(r, "transfer-encoding", 17)) {
    /* A second one is refused, too, since its meaning would be ambiguous. */
    if (r->chunked || n != 7 || strncasecmp(value, "chunked", 7))
      return client_response_malformed(r, "the response's Transfer-Encoding is not 'chunked'");
    r->chunked = true;
  } else if (name_is(r, "content-encoding", 16)) {
    r->coded = !r->coded_twice && n && content_coding_find(value, n, &r->coding);
    r->coded_twice = true; /* two codings, one on top of the other: left as it is */
  }
  return 0;
}

int client_response_end_field(ClientResponse *r) {
  Buffer *head = &r->head;
  while (head->len > r->value_at &&
         (head->data[head->len - 1] == ' ' || head->data[head->len - 1] == '\t'))
    head->len--;
  if (check_field(r)) return -1;
  if (!buffer_add(head, "\r\n", 2)) return client_response_no_memory(r);
  r->name_at = head->len;
  return 0;
}

static int on_value_complete(llhttp_t *parser) { return client_response_end_field(of(parser)); }

int client_response_forget_head(ClientResponse *r) {
  r->head.len = r->name_at = 0;
  r->chunked = r->coded = r->coded_twice = r->has_length = r->has_line = false;
  if (++r->fields <= CLIENT_MAX_FIELDS) return 0;
  return client_response_malformed(r, "too many interim responses");
}

int client_response_open_body(ClientResponse *r, const uint64_t *length) {
  if (r->coded && !(r->coder = content_coding_decoder_new(r->coding)))
    return client_response_no_memory(r);
  if (!length) return 0;
  if (!r->coder && *length > r->max_body) return too_large(r);
  if (!r->by_pieces &&
      !buffer_reserve(&r->body, *length < RESERVED_BODY ? (size_t)*length : RESERVED_BODY))
    return client_response_no_memory(r);
  return 0;
}

static int on_headers_complete(llhttp_t *parser) {
  ClientResponse *r = of(parser);
  if (parser->http_major != 1) return client_response_malformed(r, "the response is not HTTP/1");
  if (parser->status_code < 100) return client_response_malformed(r, "no status in the response");
  if (parser->status_code < 200) {
    if (parser->status_code == 101)
      return client_response_malformed(r,
                                       "the server switches to a protocol that was not asked for");
    if (client_response_forget_head(r)) return -1;
    return 1;
  }
  r->head_read = true;
  r->status = parser->status_code;
  if (client_response_has_no_body(r)) return 1;
  const uint64_t length = parser->content_length;
  if (client_response_open_body(r, parser->flags & F_CONTENT_LENGTH ? &length : NULL)) return -1;
  if (!r->chunked) return 0;
  http_chunks_open(&r->chunks, CLIENT_MAX_HEAD, (uint32_t)(CLIENT_MAX_FIELDS - r->fields));
  return HPE_PAUSED;
}

/* --- the body --- */

/* The result of a decoding step. */
static int check_coding(ClientResponse *r, CodingResult result) {
  if (result == CODING_NO_MEMORY) return client_response_no_memory(r);
  if (result == CODING_MALFORMED)
    return refuse(r, "http", "BAD_CONTENT_ENCODING",
                  "the response's body is not of its Content-Encoding");
  return 0;
}

/* The most bytes of a body in one piece, as received. Encoding may make a body longer. */
static size_t most_received(const ClientResponse *r) {
  enum { SPARE = 64 << 10 };
  size_t spare = r->coder ? SPARE + r->max_body / 8 : 0;
  return r->max_body > SIZE_MAX - spare ? SIZE_MAX : r->max_body + spare;
}

/* Adds to a body that is in one piece. */
static int add_to_body(ClientResponse *r, const char *bytes, size_t n) {
  if (n > most_received(r) - r->body.len) return too_large(r);
  return buffer_add(&r->body, bytes, n) ? 0 : client_response_no_memory(r);
}

int client_response_add_body(ClientResponse *r, const char *at, size_t n) {
  if (!r->by_pieces) return add_to_body(r, at, n);
  if (r->taken) { /* makes room by dropping what was taken */
    memmove(r->body.data, r->body.data + r->taken, r->body.len - r->taken);
    r->body.len -= r->taken;
    r->taken = 0;
  }
  return buffer_add(&r->body, at, n) ? 0 : client_response_no_memory(r);
}

bool client_response_collect(ClientResponse *r, size_t max_body) {
  r->by_pieces = false;
  r->max_body = max_body;
  if (r->body.len > most_received(r)) too_large(r);
  return !r->error;
}

static int on_body(llhttp_t *parser, const char *at, size_t n) {
  return client_response_add_body(of(parser), at, n);
}

/* The last byte has arrived. */
static int end_message(ClientResponse *r) {
  const llhttp_t *parser = &r->parser;
  r->complete = true;
  /* HTTP/1.0 has no chunks: if it sends them, the framing is in doubt (RFC 9112 6.1). So it is
     where 204 comes with the length of a body (RFC 9110 8.6), which may follow. */
  bool in_doubt = r->chunked ? parser->http_minor == 0 || r->status == 204
                             : r->status == 204 && parser->content_length;
  r->keep_alive =
      llhttp_should_keep_alive(parser) && !in_doubt && !(parser->flags & F_CONNECTION_CLOSE);
  return 0;
}

static int on_message_complete(llhttp_t *parser) {
  ClientResponse *r = of(parser);
  if (!r->head_read) return 0; /* an interim response */
  return end_message(r) ? -1 : HPE_PAUSED;
}

static const llhttp_settings_t settings = {
    .on_status = on_status,
    .on_header_field = on_field,
    .on_header_field_complete = on_field_complete,
    .on_header_value = on_value,
    .on_header_value_complete = on_value_complete,
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
};

/* --- life --- */

static void empty(Buffer *b) {
  b->len = 0;
  if (b->cap > KEPT_BUFFER) buffer_free(b);
}

void client_response_reset(ClientResponse *r) {
  content_coding_coder_free(r->coder);
  empty(&r->head);
  empty(&r->body);
  empty(&r->decoded);
  memset(r, 0, offsetof(ClientResponse, head));
}

void client_response_open(ClientResponse *r, bool answers_head, size_t max_body, bool by_pieces) {
  r->answers_head = answers_head;
  r->max_body = max_body;
  r->by_pieces = by_pieces;
}

void client_response_close(ClientResponse *r) {
  content_coding_coder_free(r->coder);
  buffer_free(&r->head);
  buffer_free(&r->body);
  buffer_free(&r->decoded);
}

/* --- reading --- */

static void explain(ClientResponse *r, llhttp_errno_t error) {
  if (r->head_read)
    client_response_malformed(r, "malformed response");
  else if (error == HPE_INVALID_CONSTANT)
    refuse(r, "http", "UNSUPPORTED_PROTOCOL", "the server does not speak HTTP/1");
  else if (error == HPE_INVALID_VERSION || error == HPE_INVALID_STATUS)
    client_response_malformed(r, "malformed status line in the response");
  else if (error == HPE_INVALID_CONTENT_LENGTH || error == HPE_UNEXPECTED_CONTENT_LENGTH)
    client_response_malformed(r, "the response's Content-Length is malformed or in doubt");
  else
    client_response_malformed(r, "malformed header in the response");
}

/* Continues to read a chunked body. */
static bool feed_chunks(ClientResponse *r, const char *p, const char *end) {
  const char *data;
  size_t n;
  for (;;) {
    switch (http_chunks_read(&r->chunks, &p, end, &data, &n)) {
    case HTTP_CHUNKS_MORE:
      return true;
    case HTTP_CHUNKS_DATA:
      if (client_response_add_body(r, data, n)) return false;
      break;
    case HTTP_CHUNKS_OVER:
      if (end_message(r)) return false;
      if (p < end) r->keep_alive = false;
      return true;
    case HTTP_CHUNKS_BAD:
      return client_response_malformed(r, "malformed chunk in the response"), false;
    case HTTP_CHUNKS_LONG:
      return client_response_malformed(r, "a chunk's extensions are too long"), false;
    case HTTP_CHUNKS_LONG_TRAILERS:
      return refuse(r, "http", "too_large", "the response's trailers are too large"), false;
    }
  }
}

/* Counts the empty lines before the status line, any number of which llhttp steps over. */
static int count_blank(ClientResponse *r, const char *bytes, size_t n) {
  size_t blank = 0;
  while (blank < n && (bytes[blank] == '\r' || bytes[blank] == '\n')) blank++;
  r->has_line = blank < n;
  return client_response_count_head(r, blank);
}

bool client_response_feed(ClientResponse *r, const char *bytes, size_t n) {
  if (r->error) return false;
  if (r->complete) {
    if (n) r->keep_alive = false;
    return true;
  }
  if (!n || client_response_ordinary_read(r, bytes, n)) return true;
  if (!r->began) {
    llhttp_init(&r->parser, HTTP_RESPONSE, &settings);
    r->parser.data = r;
    r->began = true;
  }
  if (!r->has_line && count_blank(r, bytes, n)) return false;
  if (r->head_read && r->chunked) return feed_chunks(r, bytes, bytes + n);
  r->feed_at = bytes;
  llhttp_errno_t error = llhttp_execute(&r->parser, bytes, n);
  r->value_cut = r->span_end == bytes + n;
  r->span_end = NULL;
  if (r->complete) {
    if (llhttp_get_error_pos(&r->parser) != bytes + n) r->keep_alive = false;
    return true;
  }
  if (error == HPE_OK) return true;
  if (error == HPE_PAUSED) /* after the head of a chunked body */
    return feed_chunks(r, llhttp_get_error_pos(&r->parser), bytes + n);
  explain(r, error);
  return false;
}

bool client_response_end(ClientResponse *r) {
  if (r->error) return false;
  if (r->complete) return true;
  if (!r->began) {
    refuse(r, "network", "NO_RESPONSE", "the server closed the connection without a response");
    return false;
  }
  if (r->head_read)
    llhttp_finish(&r->parser); /* calls on_message_complete if the response may end here */
  r->keep_alive = false;
  if (!r->complete)
    refuse(r, "network", "INCOMPLETE", "the connection was closed in the middle of the response");
  return r->complete && !r->error;
}

/* --- a body in pieces --- */

bool client_response_take(ClientResponse *r, Buffer *out, size_t max) {
  size_t before = out->len, n = client_response_waiting(r);
  const char *bytes = n ? r->body.data + r->taken : "";
  if (r->coder) {
    CodingResult result = content_coding_coder_feed(r->coder, &bytes, &n, out, before + max);
    r->taken = r->body.len - n;
    r->coder_full = result == CODING_FULL;
    if (check_coding(r, result)) return false;
    if (r->complete && !n && !r->coder_full) {
      if (check_coding(r, content_coding_coder_finish(r->coder, out))) return false;
      content_coding_coder_free(r->coder);
      r->coder = NULL;
    }
  } else {
    if (n > max) n = max;
    if (!buffer_add(out, bytes, n)) return client_response_no_memory(r), false;
    r->taken += n;
  }
  if (r->taken == r->body.len) r->taken = r->body.len = 0;
  r->given += out->len - before;
  if (r->given > r->max_body) return too_large(r), false;
  return true;
}

/* --- a coded body in one piece --- */

bool client_response_decode(ClientResponse *r) {
  enum { STEP = 256 << 10 };
  if (!client_response_take(r, &r->decoded, STEP)) return false;
  if (r->coder) return true;
  Buffer received = r->body;
  r->body = r->decoded;
  r->decoded = received;
  return true;
}
