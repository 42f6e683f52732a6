#include "net/send_batch.h"

#include "net/send_ring.h"

#include <errno.h>

#define FLAGS (MSG_NOSIGNAL | MSG_DONTWAIT)

static ssize_t result_of(ssize_t sent) { return sent == -EAGAIN || sent == -EINTR ? 0 : sent; }

/* One by one. */
static void send_each(SendItem *items, size_t n) {
  for (SendItem *item = items; item < items + n; item++) {
    ssize_t sent;
    if (item->n_parts == 1) {
      sent = send(item->fd, item->parts->iov_base, item->parts->iov_len, FLAGS);
    } else {
      item->message = (struct msghdr){.msg_iov = item->parts, .msg_iovlen = item->n_parts};
      sent = sendmsg(item->fd, &item->message, FLAGS);
    }
    item->sent = result_of(sent < 0 ? -errno : sent);
  }
}

static SendRing *ring_for(SendBatch *batch, size_t n) {
  if (batch->ring || batch->forbidden || n < SEND_BATCH_FEW) return batch->ring;
  batch->ring = send_ring_new();
  batch->forbidden = !batch->ring;
  return batch->ring;
}

void send_batch_run(SendBatch *batch, SendItem *items, size_t n) {
  SendRing *ring = ring_for(batch, n);
  while (ring && n) {
    size_t piece = n < SEND_RING_SIZE ? n : SEND_RING_SIZE;
    for (size_t i = 0; i < piece; i++) send_ring_put(ring, &items[i], FLAGS);
    size_t done = send_ring_run(ring, piece);
    for (size_t i = 0; i < done; i++) items[i].sent = result_of(items[i].sent);
    items += done;
    n -= done;
    if (done == piece) continue;
    /* It has been forbidden meanwhile, or memory is out. */
    send_batch_close(batch);
    batch->forbidden = true;
    ring = NULL;
  }
  send_each(items, n);
}

void send_batch_close(SendBatch *batch) {
  if (batch->ring) send_ring_free(batch->ring);
  *batch = (SendBatch){0};
}
