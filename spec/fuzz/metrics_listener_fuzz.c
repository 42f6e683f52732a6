/* Asks the small server of --metrics, in one piece and in pieces, whose size the first byte
   chooses: the answer is the same, and the metrics are for those alone who ask as this machine's,
   from no page of a browser. */
#include "fuzz.h"

#include <uv.h>

/* In place of a socket: what is written, and whether it is closed. */
static char said[1024];
static size_t n_said;
static bool is_over;

static int take_answer(uv_write_t *write, uv_stream_t *stream, const uv_buf_t *bytes, unsigned n,
                       uv_write_cb written) {
  (void)stream, (void)written;
  check(write && n == 1 && !n_said && bytes->len < sizeof said);
  memcpy(said, bytes->base, bytes->len);
  n_said = bytes->len;
  return 0;
}

static void take_close(uv_handle_t *handle, uv_close_cb closed) {
  (void)handle, (void)closed;
  is_over = true;
}

static int has_closed(const uv_handle_t *handle) {
  (void)handle;
  return is_over;
}

#define uv_write take_answer
#define uv_close take_close
#define uv_is_closing has_closed
#include "serve/metrics_listener.c"

static bool write_metrics(void *data, Buffer *out, bool open) {
  (void)data;
  return buffer_printf(out, open ? "open\n" : "plain\n");
}

static void ask(const uint8_t *data, size_t size, size_t piece) {
  MetricsListener listener = {.name = "here", .write = write_metrics, .count = 1};
  MetricsClient client = {.listener = &listener, .link = &listener.first};
  listener.first = &client;
  client.stream.data = client.deadline.data = &client;
  n_said = 0;
  is_over = false;
  for (size_t at = 0; at < size && !is_over; at += piece) {
    uv_buf_t room;
    size_t n = size - at < piece ? size - at : piece;
    alloc_read((uv_handle_t *)&client.stream, 65536, &room);
    check(room.len >= n);
    memcpy(room.base, data + at, n);
    on_read((uv_stream_t *)&client.stream, (ssize_t)n, &room);
    check(client.in.len <= HEAD_MAX);
  }
  on_read((uv_stream_t *)&client.stream, UV_EOF, NULL);
  check(is_over == !n_said); /* else it waits until that is written */
  buffer_free(&client.in);
  buffer_free(&client.out);
}

/* Has a line of the head, but the first, this beginning? */
static bool has_line(const char *head, const char *begins) {
  for (const char *line = head; (line = strstr(line, "\r\n")); line += 2)
    if (!strncasecmp(line + 2, begins, strlen(begins))) return true;
  return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 2) return 0;
  size_t piece = 1u + data[0] % 64;
  char whole[sizeof said];
  ask(data + 1, size - 1, 4096);
  size_t n = n_said;
  memcpy(whole, said, n);
  ask(data + 1, size - 1, piece);
  bool is_ok = n > 12 && !memcmp(whole, "HTTP/1.1 200", 12);
  /* Beyond the end of the head, or where it is too long, it depends on the pieces what has come. */
  if (n && is_ok) check(n == n_said && !memcmp(whole, said, n));
  if (!is_ok) return 0;
  char *head = malloc(size);
  check(head);
  memcpy(head, data + 1, size - 1);
  head[size - 1] = 0;
  char *end = strstr(head, "\r\n\r\n");
  check(end);
  *end = 0;
  check(has_line(head, "host:") && !has_line(head, "origin:"));
  check(!strncmp(head, "GET /metrics", 12) || !strncmp(head, "HEAD /metrics", 13));
  free(head);
  return 0;
}
