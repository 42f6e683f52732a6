/* What leaves a WebSocket: for ws_link.h. */
#include "websocket/ws_link.h"

#include <stdlib.h>
#include <string.h>

enum { FIN = 0x80, RSV1 = 0x40 };

/* A message of this size is written from where it is, without a copy. */
enum { DIRECT = 16 * 1024 };

static bool is_client(const WsLink *link) { return !link->in.wants_mask; }

bool ws_link_is_sending(const WsLink *link) {
  return link->out.len || link->pending || byte_stream_is_writing(link->bytes);
}

/* The frame of its hub's message, which waits for the end of the pass. */
static size_t pending_frame(const WsLink *link, const char **bytes) {
  size_t n;
  ws_link_frame(link, link->pending, bytes, &n);
  return n;
}

size_t ws_link_queued(const WsLink *link) {
  const char *bytes;
  if (link->phase == WS_OVER) return 0;
  return link->out.len + (link->pending ? pending_frame(link, &bytes) : 0) +
         (byte_stream_is_writing(link->bytes) ? byte_stream_queued(link->bytes) : 0);
}

/* It has something to send at the end of the pass. */
static void join(WsLink *link) {
  WsShared *shared = link->shared;
  if (link->is_queued || !shared->last || byte_stream_is_writing(link->bytes)) return;
  link->is_queued = true;
  link->refs++;
  link->next = NULL;
  *shared->last = link;
  shared->last = &link->next;
  shared->n_queued++;
  runtime_at_pass_end(shared->rt, &shared->pass);
}

/* What is left of what was sent now is written when the socket takes it. */
static void write_rest(WsLink *link, size_t from) {
  int error = byte_stream_write(link->bytes, &link->out, from);
  if (error) ws_link_lose(link, uv_strerror(error), true);
  ws_link_note(link);
}

static void pay_pong(WsLink *link) {
  WsInbound *owed = link->owed;
  link->owed = NULL;
  if (link->phase == WS_OPEN) ws_link_queue_frame(link, FIN | WS_PONG, owed->bytes, owed->len);
  free(owed);
}

/* Some of what was queued has left. */
static void go_on(WsLink *link) {
  if ((!link->line.count && !link->owed) || ws_link_queued(link) > WS_LOW_WATER) return;
  if (link->owed) pay_pong(link);
  if (link->line.count) waiters_wake_all(&link->line);
}

void ws_link_forget_pending(WsLink *link) {
  if (link->pending) ws_message_release(link->pending);
  link->pending = NULL;
}

/* Something follows the hub's message in the same pass, or the socket has not taken all of it. */
static bool settle(WsLink *link, size_t from) {
  const char *bytes;
  if (!link->pending) return true;
  size_t n = pending_frame(link, &bytes);
  buffer_pool_take(&link->shared->pool, &link->out);
  bool ok = buffer_add(&link->out, bytes + from, n - from);
  ws_link_forget_pending(link);
  if (!ok) ws_link_lose(link, uv_strerror(UV_ENOMEM), true);
  return ok;
}

bool ws_link_next_bytes(const WsLink *link, const char **bytes, size_t *n) {
  if (link->pending)
    *n = pending_frame(link, bytes);
  else
    *bytes = link->out.data, *n = link->out.len;
  return *n > 0;
}

void ws_link_has_sent(WsLink *link, ssize_t sent) {
  const char *bytes;
  size_t n;
  if (link->phase == WS_OVER || !ws_link_next_bytes(link, &bytes, &n)) return;
  if (sent < 0) {
    ws_link_lose(link, uv_strerror((int)sent), true);
  } else if ((size_t)sent < n) {
    size_t from = link->pending ? 0 : (size_t)sent;
    if (settle(link, (size_t)sent)) write_rest(link, from);
  } else {
    ws_link_forget_pending(link);
    link->out.len = 0;
    buffer_pool_give(&link->shared->pool, &link->out);
    ws_link_note(link);
    go_on(link);
    if (link->phase != WS_OPEN) ws_link_sent(link);
  }
}

void ws_link_flush(WsLink *link) {
  const char *bytes;
  size_t n;
  if (link->phase == WS_OVER || byte_stream_is_writing(link->bytes) ||
      !ws_link_next_bytes(link, &bytes, &n))
    return;
  ws_link_has_sent(link, byte_stream_send(link->bytes, bytes, n));
}

void ws_link_written(WsLink *link, int status) {
  if (link->phase == WS_OVER) return;
  if (status) {
    ws_link_lose(link, uv_strerror(status), true);
    return;
  }
  if (link->out.len) join(link);
  ws_link_note(link);
  go_on(link);
  if (!link->out.len && link->phase != WS_OPEN) ws_link_sent(link);
}

int ws_link_queue_frame(WsLink *link, unsigned first, const char *bytes, size_t n) {
  Buffer *out = &link->out;
  if (!settle(link, 0)) return UV_ENOMEM;
  buffer_pool_take(&link->shared->pool, out);
  if (!buffer_reserve(out, WS_HEAD_MAX + n)) return UV_ENOMEM;
  const char *key = is_client(link) ? ws_shared_key(link->shared) : NULL;
  out->len += ws_frame_write_head(out->data + out->len, first, n, key);
  if (key)
    ws_frame_mask(out->data + out->len, bytes, n, key, 0);
  else if (n)
    memcpy(out->data + out->len, bytes, n);
  out->len += n;
  ws_link_note(link);
  join(link);
  return 0;
}

/* Sends a big frame as it is. */
static int send_direct(WsLink *link, unsigned first, const char *bytes, size_t n) {
  char head[WS_HEAD_MAX];
  size_t head_len = ws_frame_write_head(head, first, n, NULL);
  struct iovec parts[] = {{head, head_len}, {(char *)(uintptr_t)bytes, n}};
  ssize_t sent = byte_stream_send_parts(link->bytes, parts, 2);
  if (sent < 0) {
    ws_link_lose(link, uv_strerror((int)sent), true);
    return UV_EPIPE;
  }
  size_t at = (size_t)sent;
  if (at == head_len + n) return 0;
  bool is_added = (at >= head_len || buffer_add(&link->out, head + at, head_len - at)) &&
                  buffer_add(&link->out, bytes + (at > head_len ? at - head_len : 0),
                             at > head_len ? n - (at - head_len) : n);
  if (!is_added) { /* a piece of it may have left */
    ws_link_lose(link, uv_strerror(UV_ENOMEM), true);
    return UV_ENOMEM;
  }
  write_rest(link, 0);
  return link->phase == WS_OVER ? UV_EPIPE : 0;
}

static WsDeflater *deflater_of(WsLink *link) {
  if (!link->deflate.takeover) return &link->shared->deflater;
  if (!link->deflater) link->deflater = calloc(1, sizeof *link->deflater);
  return link->deflater;
}

/* Sends the message compressed. 1: it is not shorter. */
static int send_packed(WsLink *link, unsigned opcode, const char *bytes, size_t n) {
  Buffer *packed = &link->shared->packed;
  WsDeflater *d = deflater_of(link);
  packed->len = 0;
  if (!d || !ws_deflate_pack(d, &link->deflate, bytes, n, packed)) return UV_ENOMEM;
  int result =
      packed->len ? ws_link_queue_frame(link, FIN | RSV1 | opcode, packed->data, packed->len) : 1;
  ws_shared_trim(packed);
  return result;
}

int ws_link_send(WsLink *link, bool is_text, const char *bytes, size_t n) {
  unsigned opcode = is_text ? WS_TEXT : WS_BINARY;
  if (link->phase != WS_OPEN) return UV_EPIPE;
  if (link->deflate.window && n && n >= link->deflate.min) {
    int result = send_packed(link, opcode, bytes, n);
    if (result <= 0) return result;
  }
  if (n >= DIRECT && !is_client(link)) {
    ws_link_flush(link);
    if (link->phase != WS_OPEN) return UV_EPIPE;
    if (!ws_link_is_sending(link)) return send_direct(link, FIN | opcode, bytes, n);
  }
  return ws_link_queue_frame(link, FIN | opcode, bytes, n);
}

bool ws_link_is_behind(WsLink *link) {
  if (ws_link_queued(link) <= WS_HIGH_WATER) return false;
  ws_link_flush(link); /* it may be nothing but what this pass has sent */
  return ws_link_queued(link) > WS_HIGH_WATER;
}

int ws_link_ping(WsLink *link) {
  if (link->phase != WS_OPEN) return UV_EPIPE;
  return ws_link_queue_frame(link, FIN | WS_PING, "", 0);
}

void ws_link_pong(WsLink *link, const char *payload, size_t n) {
  if (ws_link_queued(link) <= WS_HIGH_WATER) {
    ws_link_queue_frame(link, FIN | WS_PONG, payload, n);
    return;
  }
  if (!link->owed && !(link->owed = malloc(sizeof *link->owed + WS_CONTROL_MAX))) return;
  link->owed->len = n;
  if (n) memcpy(link->owed->bytes, payload, n);
}

/* --- for hubs --- */

bool ws_link_frame(const WsLink *link, WsMessage *message, const char **bytes, size_t *n) {
  if (is_client(link) || link->deflate.takeover) return false;
  ws_message_frame(message, &link->shared->deflater, &link->deflate, bytes, n);
  return true;
}

int ws_link_send_message(WsLink *link, WsMessage *message) {
  const char *bytes;
  size_t n;
  if (link->phase != WS_OPEN) return UV_EPIPE;
  if (!ws_link_frame(link, message, &bytes, &n))
    return ws_link_send(link, message->is_text, message->frame.data + message->head,
                        message->frame.len - message->head);
  if (!ws_link_is_sending(link)) {
    link->pending = ws_message_retain(message);
  } else {
    if (!settle(link, 0)) return UV_ENOMEM;
    buffer_pool_take(&link->shared->pool, &link->out);
    if (!buffer_add(&link->out, bytes, n)) return UV_ENOMEM;
    ws_link_note(link);
  }
  join(link);
  return 0;
}
