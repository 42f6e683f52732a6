#include "serve/supervised_channel.h"

#include "serve/channel_frames.h"
#include "serve/supervised.h"

#include <stdlib.h>

#define ROOM ((size_t)64 * 1024)

typedef struct Sending {
  uv_write_t request;
  Buffer bytes;
} Sending;

/* --- out --- */

static void free_sending(Sending *sending) {
  buffer_free(&sending->bytes);
  free(sending);
}

size_t supervised_channel_queued(const SupervisedChannel *c) {
  return uv_stream_get_write_queue_size((const uv_stream_t *)&c->pipe) + c->out.len;
}

static void on_sent(uv_write_t *request, int status) {
  Sending *sending = (Sending *)request;
  SupervisedChannel *c = request->handle->data;
  (void)status; /* the supervisor has ended, and so will we */
  if (supervised_channel_queued(c) < SUPERVISED_CHANNEL_HIGH) waiters_wake_all(&c->line);
  free_sending(sending);
}

/* Takes over what is to be sent. */
static void send_rest(SupervisedChannel *c, size_t from) {
  Sending *sending = malloc(sizeof *sending);
  if (!sending) return; /* without its rest, a message would spoil those after it */
  sending->bytes = c->out;
  c->out = (Buffer){0};
  uv_buf_t rest = uv_buf_init(sending->bytes.data + from, (unsigned)(sending->bytes.len - from));
  if (uv_write(&sending->request, (uv_stream_t *)&c->pipe, &rest, 1, on_sent))
    free_sending(sending);
}

static void flush(SupervisedChannel *c) {
  if (!c->out.len) return;
  uv_buf_t all = uv_buf_init(c->out.data, (unsigned)c->out.len);
  int sent = uv_try_write((uv_stream_t *)&c->pipe, &all, 1);
  if (sent < 0 && sent != UV_EAGAIN) { /* there is no supervisor any more */
    c->out.len = 0;
    return;
  }
  size_t from = sent > 0 ? (size_t)sent : 0;
  if (from < c->out.len) send_rest(c, from);
  if (c->out.cap > 4 * ROOM) buffer_free(&c->out);
  c->out.len = 0;
}

static void on_pass_end(PassHook *hook, Runtime *rt) {
  (void)rt;
  flush(container_of(hook, SupervisedChannel, pass_end));
}

static bool is_behind(SupervisedChannel *c) {
  bool is_over = supervised_channel_queued(c) > (c->loses ? 0 : CHANNEL_QUEUED_MAX);
  if (is_over && !c->loses)
    report_say(c->rt, LOG_WARN,
               "the supervisor does not take what this worker publishes: the other workers lose "
               "messages of hubs");
  return c->loses = is_over;
}

void supervised_channel_send(SupervisedChannel *c, const struct iovec *parts, size_t n_parts) {
  char head[CHANNEL_HEAD];
  size_t n = 0;
  for (size_t i = 0; i < n_parts; i++) n += parts[i].iov_len;
  if (is_behind(c) || !buffer_reserve(&c->out, sizeof head + n)) return;
  channel_frames_head(head, n);
  buffer_add(&c->out, head, sizeof head);
  for (size_t i = 0; i < n_parts; i++) buffer_add(&c->out, parts[i].iov_base, parts[i].iov_len);
  runtime_at_pass_end(c->rt, &c->pass_end);
}

/* --- in --- */

static void alloc_room(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer) {
  SupervisedChannel *c = handle->data;
  (void)suggested;
  bool ok = buffer_reserve(&c->in, ROOM);
  *buffer = uv_buf_init(ok ? c->in.data + c->in.len : NULL, ok ? (unsigned)ROOM : 0);
}

static bool take(SupervisedChannel *c) {
  size_t whole, n;
  if (!channel_frames_whole(c->in.data, c->in.len, &whole)) return false;
  if (!whole) return true; /* of a long one, nothing is moved */
  const char *at = c->in.data;
  size_t left = whole;
  for (const char *bytes; (bytes = channel_frames_next(&at, &left, &n));)
    c->came(c->data, bytes, n);
  if (whole == c->in.len && c->in.cap > 4 * ROOM) {
    buffer_free(&c->in);
    return true;
  }
  memmove(c->in.data, c->in.data + whole, c->in.len - whole);
  c->in.len -= whole;
  return true;
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buffer) {
  SupervisedChannel *c = stream->data;
  (void)buffer;
  if (n > 0) c->in.len += (size_t)n;
  if (n < 0 ? n != UV_ENOBUFS : !take(c)) uv_read_stop(stream);
}

/* --- its start and its end --- */

static void on_closed(uv_handle_t *handle) {
  SupervisedChannel *c = handle->data;
  buffer_free(&c->in);
  buffer_free(&c->out);
}

static void close_channel(CloseHook *hook, Runtime *rt) {
  SupervisedChannel *c = container_of(hook, SupervisedChannel, close);
  runtime_not_at_pass_end(rt, &c->pass_end);
  flush(c);
  waiters_wake_all(&c->line);
  c->is_open = false;
  uv_close((uv_handle_t *)&c->pipe, on_closed);
}

int supervised_channel_open(SupervisedChannel *c, Runtime *rt, SupervisedMessage *came,
                            void *data) {
  *c = (SupervisedChannel){.rt = rt, .came = came, .data = data, .pass_end.run = on_pass_end};
  uv_pipe_init(&rt->loop, &c->pipe, 0);
  c->pipe.data = c;
  waiters_init(&c->line);
  int rc = uv_pipe_open(&c->pipe, SUPERVISED_CHANNEL);
  if (!rc) rc = uv_read_start((uv_stream_t *)&c->pipe, alloc_room, on_read);
  uv_unref((uv_handle_t *)&c->pipe);
  c->close.close = close_channel;
  ml_runtime_on_close(rt, &c->close);
  if (rc) return rc;
  c->is_open = true;
  buffer_add(&c->out, CHANNEL_HELLO, CHANNEL_HEAD);
  runtime_at_pass_end(rt, &c->pass_end);
  return 0;
}
