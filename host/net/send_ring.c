#include "net/send_ring.h"

#include <errno.h>
#include <linux/io_uring.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Headers may be older than the kernel. */
#ifndef IORING_SETUP_SUBMIT_ALL
#define IORING_SETUP_SUBMIT_ALL (1U << 7) /* Linux 5.18 */
#endif

/* Both queues are memory that is shared with the kernel: we move the tail of the submissions and
   the head of the completions, the kernel the other two. */
struct SendRing {
  int fd;
  _Atomic uint32_t *sq_tail, *cq_head, *cq_tail;
  uint32_t sq_mask, cq_mask;
  uint32_t tail; /* of the submissions, not shown to the kernel yet */
  uint32_t *sq_list;
  struct io_uring_sqe *sqes;
  struct io_uring_cqe *cqes;
  void *rings;
  size_t rings_size, sqes_size;
};

static int setup(struct io_uring_params *params) {
  *params = (struct io_uring_params){.flags = IORING_SETUP_SUBMIT_ALL};
  long fd = syscall(SYS_io_uring_setup, SEND_RING_SIZE, params);
  if (fd < 0 && errno == EINVAL) {
    *params = (struct io_uring_params){0};
    fd = syscall(SYS_io_uring_setup, SEND_RING_SIZE, params);
  }
  return (int)fd;
}

static void *map(int fd, size_t size, off_t what) {
  void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, what);
  return at == MAP_FAILED ? NULL : at;
}

/* Sends of sockets are known since 5.6, both queues are one mapping since 5.4. */
static bool map_all(SendRing *ring, const struct io_uring_params *params) {
  if (!(params->features & IORING_FEAT_SINGLE_MMAP) || !(params->features & IORING_FEAT_FAST_POLL))
    return false;
  size_t sq = params->sq_off.array + params->sq_entries * sizeof(uint32_t);
  size_t cq = params->cq_off.cqes + params->cq_entries * sizeof(struct io_uring_cqe);
  ring->rings_size = sq > cq ? sq : cq;
  ring->sqes_size = params->sq_entries * sizeof(struct io_uring_sqe);
  ring->rings = map(ring->fd, ring->rings_size, IORING_OFF_SQ_RING);
  ring->sqes = map(ring->fd, ring->sqes_size, IORING_OFF_SQES);
  if (!ring->rings || !ring->sqes) return false;
  char *at = ring->rings;
  ring->sq_tail = (_Atomic uint32_t *)(at + params->sq_off.tail);
  ring->sq_mask = *(uint32_t *)(at + params->sq_off.ring_mask);
  ring->sq_list = (uint32_t *)(at + params->sq_off.array);
  ring->cq_head = (_Atomic uint32_t *)(at + params->cq_off.head);
  ring->cq_tail = (_Atomic uint32_t *)(at + params->cq_off.tail);
  ring->cq_mask = *(uint32_t *)(at + params->cq_off.ring_mask);
  ring->cqes = (struct io_uring_cqe *)(at + params->cq_off.cqes);
  ring->tail = atomic_load_explicit(ring->sq_tail, memory_order_relaxed);
  return true;
}

SendRing *send_ring_new(void) {
  struct io_uring_params params;
  SendRing *ring = calloc(1, sizeof *ring);
  if (!ring) return NULL;
  ring->fd = setup(&params);
  if (ring->fd >= 0 && map_all(ring, &params)) return ring;
  send_ring_free(ring);
  return NULL;
}

void send_ring_put(SendRing *ring, SendItem *item, int flags) {
  uint32_t at = ring->tail++ & ring->sq_mask;
  struct io_uring_sqe *sqe = &ring->sqes[at];
  *sqe = (struct io_uring_sqe){
      .fd = item->fd, .msg_flags = (uint32_t)flags, .user_data = (uintptr_t)item};
  if (item->n_parts == 1) {
    sqe->opcode = IORING_OP_SEND;
    sqe->addr = (uintptr_t)item->parts->iov_base;
    sqe->len = (uint32_t)item->parts->iov_len;
  } else {
    item->message = (struct msghdr){.msg_iov = item->parts, .msg_iovlen = item->n_parts};
    sqe->opcode = IORING_OP_SENDMSG;
    sqe->addr = (uintptr_t)&item->message;
    sqe->len = 1;
  }
  ring->sq_list[at] = at;
}

/* Takes the completions there are; returns their number. */
static size_t take(SendRing *ring) {
  uint32_t head = atomic_load_explicit(ring->cq_head, memory_order_relaxed);
  uint32_t tail = atomic_load_explicit(ring->cq_tail, memory_order_acquire);
  size_t n = tail - head;
  for (; head != tail; head++) {
    const struct io_uring_cqe *cqe = &ring->cqes[head & ring->cq_mask];
    SendItem *item = (SendItem *)(uintptr_t)cqe->user_data; /* NOLINT(performance-no-int-to-ptr) */
    item->sent = cqe->res;
  }
  atomic_store_explicit(ring->cq_head, head, memory_order_release);
  return n;
}

/* A send that must not wait completes while it is submitted, so that this call does not wait,
   either; a signal may end it earlier. */
size_t send_ring_run(SendRing *ring, size_t n) {
  size_t submitted = 0, over = 0;
  atomic_store_explicit(ring->sq_tail, ring->tail, memory_order_release);
  while (over < n) {
    size_t to_submit = n - submitted;
    long rc = syscall(SYS_io_uring_enter, ring->fd, (unsigned)to_submit, (unsigned)(n - over),
                      IORING_ENTER_GETEVENTS, NULL, (size_t)0);
    if (rc > 0) submitted += (size_t)rc;
    over += take(ring);
    bool failed = rc < 0 ? errno != EINTR : rc == 0 && to_submit > 0;
    if (failed && over == submitted) break;
  }
  return over;
}

void send_ring_free(SendRing *ring) {
  if (ring->rings) munmap(ring->rings, ring->rings_size);
  if (ring->sqes) munmap(ring->sqes, ring->sqes_size);
  if (ring->fd >= 0) close(ring->fd);
  free(ring);
}
