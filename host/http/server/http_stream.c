#include "http/server/http_stream.h"

#include "http/server/http_server.h"
#include <stdlib.h>

enum {
  /* From this many bytes on, a separate system call costs no more than copying the text. */
  WORTH_A_CALL = 32 * 1024,
  CHUNK_SIZE_LINE = 18, /* bytes at most */
};

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
  if (s->behind || s->at_once >= HTTP_STREAM_A_PASS) return true;
  return c->out.len + byte_stream_queued(&c->bytes) >= HTTP_STREAM_HIGH_WATER;
}

/* Writes the first line of a chunk of `n` bytes at the end of `line`; returns its start. */
static size_t put_chunk_size(char line[static CHUNK_SIZE_LINE], size_t n) {
  size_t at = CHUNK_SIZE_LINE;
  line[--at] = '\n';
  line[--at] = '\r';
  do line[--at] = "0123456789abcdef"[n % 16];
  while (n /= 16);
  return at;
}

enum { OUT, SIZE, TEXT, END, PARTS }; /* what is sent with a text: `out` and the framing */

static size_t count_bytes(const struct iovec parts[static PARTS]) {
  size_t n = 0;
  for (int i = 0; i < PARTS; i++) n += parts[i].iov_len;
  return n;
}

/* Puts the parts after the first `sent` bytes into `out`, which is the first part. False, with
   nothing changed, if memory is out. */
static bool keep_rest(Buffer *out, const struct iovec parts[static PARTS], size_t sent) {
  size_t gone = sent < out->len ? sent : out->len;
  if (!buffer_reserve(out, count_bytes(parts) - (sent > out->len ? sent : out->len))) return false;
  out->len -= gone;
  sent -= gone;
  if (gone) memmove(out->data, out->data + gone, out->len);
  for (int i = SIZE; i < PARTS; i++) {
    gone = sent < parts[i].iov_len ? sent : parts[i].iov_len;
    buffer_add(out, (const char *)parts[i].iov_base + gone, parts[i].iov_len - gone);
    sent -= gone;
  }
  return true;
}

/* False if memory is out: then the rest is lost, and the connection with it. */
static bool write_at_once(HttpStream *s, const struct iovec parts[static PARTS]) {
  HttpConnection *c = s->connection;
  ssize_t taken = byte_stream_send_parts(&c->bytes, parts, PARTS);
  size_t sent = taken > 0 ? (size_t)taken : 0; /* the next write reports an error */
  s->at_once += (uint32_t)sent;
  if (sent == count_bytes(parts)) {
    c->out.len = 0;
    return true;
  }
  s->behind = true;
  if (keep_rest(&c->out, parts, sent)) return true;
  http_connection_close(c, s->left == HTTP_LENGTH_UNTIL_CLOSE);
  return false;
}

bool http_stream_write(HttpStream *s, const char *bytes, size_t n) {
  HttpConnection *c = s->connection;
  c->sent += n;
  if (!n) return true; /* an empty chunk would be the last one */
  bool chunked = s->left == HTTP_LENGTH_CHUNKED;
  char size[CHUNK_SIZE_LINE];
  size_t at = chunked ? put_chunk_size(size, n) : sizeof size;
  const struct iovec parts[PARTS] = {
      [OUT] = {c->out.data, c->out.len},
      [SIZE] = {size + at, sizeof size - at},
      [TEXT] = {(char *)(uintptr_t)bytes, n}, /* only read from */
      [END] = {"\r\n", chunked ? 2 : 0},
  };
  /* Nothing that could still be taken back is sent before the pass is over. */
  bool at_once = n >= WORTH_A_CALL && s->sent && !byte_stream_is_writing(&c->bytes);
  if (!(at_once ? write_at_once(s, parts) : keep_rest(&c->out, parts, 0))) return false;
  if (s->left <= HTTP_LENGTH_MAX) s->left -= n;
  http_unsent_taken(&s->unsent, c->server, c->bytes.fd, n);
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
  bool take_back = !s->sent && !http_connection_is_closing(c);
  if (take_back) {
    c->out.len = s->head_at;
    http_connection_take_back(c);
  } else {
    /* A client that reads until the connection ends would take an orderly end for the end of the
       body. */
    http_connection_close(c, s->left == HTTP_LENGTH_UNTIL_CLOSE);
  }
  http_stream_over(c);
  return take_back;
}

static void wake(HttpStream *s) {
  ml_wait_wake(s->writer);
  s->writer.task = NULL;
}

void http_stream_flushed(HttpStream *s) {
  const HttpConnection *c = s->connection;
  s->at_once = 0;
  if (!byte_stream_is_writing(&c->bytes) && !c->out.len) s->behind = false;
  if (s->writer.task && !http_stream_is_full(s)) wake(s);
}

void http_stream_over(HttpConnection *c) {
  HttpStream *s = c->stream;
  if (!s) return;
  http_unsent_over(&s->unsent, c->server, c->bytes.fd);
  c->stream = NULL;
  s->connection = NULL;
  wake(s);
  http_stream_drop(s);
}
