/* Many sockets written to with one system call: the sends of a pass are put into an io_uring
   (io_uring(7)) and are over when the call returns. Where there is none (seccomp forbids it, the
   sysctl kernel.io_uring_disabled, an older kernel), each is a sendmsg.

   One thread at a time uses a SendBatch; nothing waits, and no memory is used after a call. */
#ifndef ML_SEND_BATCH_H
#define ML_SEND_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

/* Fewer sends than this do not make a ring: what one costs to make is that of some dozens. */
#define SEND_BATCH_FEW 16

/* One send: `n_parts` buffers to the connected non-blocking socket `fd`. Both are kept until
   send_batch_run has returned. */
typedef struct SendItem {
  int fd;
  unsigned n_parts; /* at least 1 */
  struct iovec *parts;
  ssize_t sent;          /* afterwards: the bytes taken, 0 if it took none now, or a libuv error */
  struct msghdr message; /* used while it is sent */
} SendItem;

/* All zero: nothing made yet. */
typedef struct SendBatch {
  struct SendRing *ring; /* made by the first batch that is not small; or NULL */
  bool forbidden;        /* there can be none */
} SendBatch;

/* Sends all items, to each its parts in order, as send(2) with MSG_DONTWAIT and MSG_NOSIGNAL does.
   A socket must be in one item at most. */
void send_batch_run(SendBatch *batch, SendItem *items, size_t n);

/* Frees what it has made. */
void send_batch_close(SendBatch *batch);

#endif
