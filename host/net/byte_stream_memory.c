/* Part of byte_stream.h: a stream whose bytes go through a pipe in memory. */
#include "net/byte_stream.h"

static bool is_closing(const ByteStream *s) { return uv_is_closing((const uv_handle_t *)&s->tcp); }

static void get_peer(const ByteStream *s, ByteStreamPeer *peer) {
  *peer = (ByteStreamPeer){.v4 = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                  .sin_port = htons((uint16_t)s->pipe)}};
}

static void ask(ByteStream *s) { memory_end_ask(s->memory); }

static ssize_t take(ByteStream *s, const struct iovec *parts, size_t n) {
  return memory_end_write(s->memory, parts, n);
}

static size_t count_unread(const ByteStream *s) { return memory_end_unread(s->memory); }

static void shut(ByteStream *s) { memory_end_shut(s->memory); }

static bool has_gone(const ByteStream *s) { return !s->memory->other; }

static void on_closed(uv_handle_t *handle) {
  ByteStream *s = handle->data;
  s->user->closed(s);
}

static void close_end(ByteStream *s, bool reset) {
  memory_end_close(s->memory, reset);
  s->memory = NULL;
  s->below = NULL;
  if (s->write) byte_stream_write_drop(s);
  uv_close((uv_handle_t *)&s->tcp, on_closed);
}

static const ByteStreamBelow below = {.peer = get_peer,
                                      .resume = ask,
                                      .send = take,
                                      .write = ask, /* on_memory goes on as soon as there is room */
                                      .unread = count_unread,
                                      .shut = shut,
                                      .has_gone = has_gone,
                                      .close = close_end};

/* Writes more of what waits. */
static void write_to_memory(ByteStream *s) {
  ByteStreamWrite *w = s->write;
  struct iovec rest = {w->data.data + w->at, w->data.len - w->at};
  ssize_t n = memory_end_write(s->memory, &rest, 1);
  if (n > 0) w->at += (size_t)n;
  if (n >= 0 && w->at < w->data.len) return;
  byte_stream_write_over(s, n < 0 ? (int)n : 0);
}

/* Reads what there is. */
static void read_from_memory(ByteStream *s) {
  while (!s->ended && !is_closing(s)) {
    uv_buf_t room = s->paused ? uv_buf_init(NULL, 0) : s->user->room(s);
    if (!room.len) s->paused = true; /* until there is room: its user resumes then */
    /* Even while reading is paused, a closed peer is noticed at once. */
    if (s->paused && s->memory->other) return;
    ssize_t n = s->paused ? UV_ECONNRESET : memory_end_read(s->memory, room.base, room.len);
    if (!n) return;
    s->ended = n < 0;
    if (n < 0)
      s->user->ended(s, (int)n);
    else
      s->user->came(s, room.base, (size_t)n);
  }
}

static void on_memory(MemoryEnd *end) {
  ByteStream *s = end->user;
  if (s->write) write_to_memory(s);
  read_from_memory(s);
}

void byte_stream_open_memory(ByteStream *s, uv_loop_t *loop, MemoryEnd *end,
                             const ByteStreamUser *user) {
  byte_stream_open_below(s, &below, user);
  uv_tcp_init(loop, &s->tcp); /* without a socket: it is there to be closed */
  s->tcp.data = s;
  s->memory = end;
  s->pipe = end->number;
  end->ready = on_memory;
  end->user = s;
}
