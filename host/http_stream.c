#include "http_stream.h"

#include "access_log.h"
#include "http_server.h"
#include <stdlib.h>

HttpStream *http_stream_new(uint64_t length) {
  HttpStream *s = calloc(1, sizeof *s);
  if (!s) return NULL;
  s->left = length;
  s->owners = 1;
  return s;
}

void http_stream_begin(HttpStream *s, HttpConnection *c, size_t head_at) {
  s->connection = c;
  s->head_at = head_at;
  s->owners++;
  c->stream = s;
  http_server_due(c->server, c);
}

void http_stream_drop(HttpStream *s) {
  if (--s->owners == 0) free(s);
}

bool http_stream_is_full(const HttpStream *s) {
  const HttpConnection *c = s->connection;
  return c->out.len + uv_stream_get_write_queue_size((const uv_stream_t *)&c->tcp) >=
         HTTP_STREAM_HIGH_WATER;
}

/* The first line of a chunk of `n` bytes; the caller has reserved the room. */
static void put_chunk_size(Buffer *out, size_t n) {
  char line[18];
  size_t at = sizeof line;
  line[--at] = '\n';
  line[--at] = '\r';
  do line[--at] = "0123456789abcdef"[n % 16];
  while (n /= 16);
  memcpy(out->data + out->len, line + at, sizeof line - at);
  out->len += sizeof line - at;
}

bool http_stream_write(HttpStream *s, const char *bytes, size_t n) {
  HttpConnection *c = s->connection;
  if (c->access) c->access->bytes += n;
  if (!n) return true; /* a chunk of no bytes would be the last one */
  if (!buffer_reserve(&c->out, n + 20)) return false;
  if (s->left == HTTP_LENGTH_CHUNKED) {
    put_chunk_size(&c->out, n);
    buffer_add(&c->out, bytes, n);
    buffer_add(&c->out, "\r\n", 2);
  } else {
    buffer_add(&c->out, bytes, n);
    if (s->left != HTTP_LENGTH_UNTIL_CLOSE) s->left -= n;
  }
  http_server_due(c->server, c);
  return true;
}

bool http_stream_end(HttpStream *s) {
  HttpConnection *c = s->connection;
  if (s->left == HTTP_LENGTH_CHUNKED && !buffer_add(&c->out, "0\r\n\r\n", 5)) return false;
  if (s->left <= HTTP_LENGTH_MAX && s->left) return false;
  http_stream_over(c);
  return true;
}

bool http_stream_fail(HttpConnection *c) {
  HttpStream *s = c->stream;
  if (!s) return true;
  bool take_back = !s->sent && !c->closing;
  if (take_back) {
    c->out.len = s->head_at;
    c->answered = false;
  } else {
    /* To a client that waits for the end of the connection, an orderly one would be the end of the
       body. */
    http_connection_break(c, s->left == HTTP_LENGTH_UNTIL_CLOSE);
  }
  http_stream_over(c);
  return take_back;
}

static void wake(HttpStream *s) {
  ml_wait_wake(s->writer);
  s->writer.task = NULL;
}

void http_stream_flushed(HttpStream *s) {
  if (s->writer.task && !http_stream_is_full(s)) wake(s);
}

void http_stream_over(HttpConnection *c) {
  HttpStream *s = c->stream;
  if (!s) return;
  c->stream = NULL;
  s->connection = NULL;
  wake(s);
  http_stream_drop(s);
}
