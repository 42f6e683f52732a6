/* An io_uring that sends, and waits for what it has sent (io_uring(7)): for send_batch.c alone. */
#ifndef ML_SEND_RING_H
#define ML_SEND_RING_H

#include "net/send_batch.h"

/* The most sends of a run. */
#define SEND_RING_SIZE 1024

typedef struct SendRing SendRing;

/* A new ring; NULL where the system allows none, or memory is out. */
SendRing *send_ring_new(void);

/* Adds an item, to be sent with `flags` of send(2), MSG_DONTWAIT among them. At most SEND_RING_SIZE
   between two runs. */
void send_ring_put(SendRing *ring, SendItem *item, int flags);

/* Sends the `n` items that have been added. Returns how many of the first of them are over: their
   `sent` is what the call returned, or minus its error. Fewer than `n`: the ring must be freed. */
size_t send_ring_run(SendRing *ring, size_t n);

void send_ring_free(SendRing *ring);

#endif
