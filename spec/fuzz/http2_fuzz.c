/* Feeds frames to an HTTP/2 session of a server without routes: whatever comes, each stream is
   answered or reset, nothing is kept, and what is sent are frames. The first byte chooses the size
   of the pieces in which they come. Its connection is a pipe in memory. */
#include "core/runtime.h"
#include "http/server/http2_stream.h"
#include "http/server/http_server.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static Runtime *rt;
static HttpServer server;

static void require(bool holds) {
  if (!holds) abort();
}

static void on_stopped(HttpServer *s) { (void)s; }

static void open_server(void) {
  rt = runtime_new(NULL);
  require(rt != NULL);
  server = (HttpServer){.rt = rt,
                        .router = http_router_new(),
                        .stopped = on_stopped,
                        .http2_calls = &http2_session_calls};
  http_limits_default(&server.limits);
  server.limits.max_header_bytes = 2000;
  server.limits.max_body = 20000;
  require(server.router && !http_server_accept_in_memory(&server));
}

static bool is_idle(void *unused) {
  (void)unused;
  return !server.pass.listed && !rt->pass_hooks;
}

static bool is_alone(void *unused) {
  (void)unused;
  return !server.connections;
}

/* The client's end: reads whole frames, and drops them. */
static void on_ready(MemoryEnd *end) {
  static char bytes[65536];
  Buffer *frames = end->user;
  for (ssize_t n; (n = memory_end_read(end, bytes, sizeof bytes)) > 0;) {
    require(buffer_add(frames, bytes, (size_t)n));
    size_t at = 0;
    while (frames->len - at >= HTTP2_FRAME_HEAD) {
      const uint8_t *f = (const uint8_t *)frames->data + at;
      size_t length = HTTP2_FRAME_HEAD + ((size_t)f[0] << 16 | (size_t)f[1] << 8 | f[2]);
      require(length <= HTTP2_FRAME_HEAD + 16384 && f[3] <= NGHTTP2_CONTINUATION);
      if (frames->len - at < length) break;
      at += length;
    }
    frames->len -= at;
    memmove(frames->data, frames->data + at, frames->len);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const char hello[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0";
  if (!size) return 0;
  if (!rt) open_server();
  Buffer frames = {0};
  MemoryEnd *end = server.memory.connect(&server.memory);
  require(end != NULL);
  end->ready = on_ready;
  end->user = &frames;
  require(http2_session_open(server.connections));
  memory_end_write(end, &(struct iovec){(char *)(uintptr_t)hello, sizeof hello}, 1);
  size_t piece = data[0] ? data[0] * (size_t)8 : size;
  for (size_t at = 1; at < size && server.connections; at += piece) {
    size_t n = size - at < piece ? size - at : piece;
    memory_end_write(end, &(struct iovec){(char *)(uintptr_t)(data + at), n}, 1);
    runtime_run(rt, is_idle, NULL);
    if (server.connections && server.connections->http2)
      require(server.connections->http2->n_streams <= HTTP2_STREAMS);
  }
  memory_end_close(end, true);
  runtime_run(rt, is_alone, NULL);
  require(!server.connections && !server.buffered && !server.http2_due);
  buffer_free(&frames);
  return 0;
}
