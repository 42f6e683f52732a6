/* The end of a pass: what all WebSockets have to send leaves together, for ws_link.h. */
#include "websocket/ws_link.h"

#include "net/send_batch.h"
#include "net/send_ring.h"
#include <stdlib.h>

/* What is sent with one system call. */
enum { MOST = SEND_RING_SIZE };

typedef struct WsBatch {
  SendBatch sends;
  size_t n;
  WsLink *links[MOST];
  SendItem items[MOST];
  struct iovec parts[MOST];
} WsBatch;

void ws_link_free_batch(WsBatch *batch) {
  if (!batch) return;
  send_batch_close(&batch->sends);
  free(batch);
}

/* Takes the first of those that have something to send. */
static WsLink *next_queued(WsShared *shared) {
  WsLink *link = shared->first;
  shared->first = link->next;
  if (!shared->first) shared->last = &shared->first;
  shared->n_queued--;
  link->is_queued = false;
  return link;
}

/* False: it has no socket of its own, or nothing to send now. */
static bool add(WsBatch *batch, WsLink *link) {
  const ByteStream *bytes = link->bytes;
  const char *at;
  size_t n;
  if (link->phase == WS_OVER || byte_stream_is_writing(bytes) || bytes->fd < 0 ||
      bytes->tls_context || bytes->is_pipe || !ws_link_next_bytes(link, &at, &n))
    return false;
  batch->parts[batch->n] = (struct iovec){(char *)(uintptr_t)at, n};
  batch->items[batch->n] =
      (SendItem){.fd = bytes->fd, .n_parts = 1, .parts = &batch->parts[batch->n]};
  batch->links[batch->n++] = link;
  return true;
}

static void send_batch(WsBatch *batch) {
  send_batch_run(&batch->sends, batch->items, batch->n);
  for (size_t i = 0; i < batch->n; i++) {
    ws_link_has_sent(batch->links[i], batch->items[i].sent);
    ws_link_drop(batch->links[i]);
  }
  batch->n = 0;
}

/* With an io_uring, if there is one, where that is worth it. */
static void flush_many(WsShared *shared, WsBatch *batch) {
  while (shared->first) {
    while (shared->first && batch->n < MOST) {
      WsLink *link = next_queued(shared);
      if (add(batch, link)) continue;
      ws_link_flush(link);
      ws_link_drop(link);
    }
    send_batch(batch);
  }
}

void ws_link_flush_all(PassHook *hook, Runtime *rt) {
  WsShared *shared = container_of(hook, WsShared, pass);
  shared->refs++; /* the last link may go */
  if (!rt->closing && shared->n_queued >= SEND_BATCH_FEW) {
    if (!shared->batch) shared->batch = calloc(1, sizeof *shared->batch);
    if (shared->batch) flush_many(shared, shared->batch);
  }
  while (shared->first) {
    WsLink *link = next_queued(shared);
    if (!rt->closing) ws_link_flush(link);
    ws_link_drop(link);
  }
  ws_shared_release(shared);
}
