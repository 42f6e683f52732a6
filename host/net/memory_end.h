/* A connection inside the process, without a socket: two ends, each of which reads what the other
   has written. It behaves as a TCP connection does: a full one takes nothing more, and an end that
   is closed is noticed by the other.

   Bytes arrive at the end of a pass of the loop, never inside a call of this file. Nothing here
   enters Lua. Used by the test client of apps, whose server is a ByteStream at one end. */
#ifndef ML_MEMORY_END_H
#define ML_MEMORY_END_H

#include "base/buffer.h"
#include "core/runtime.h"
#include <sys/uio.h>

typedef struct MemoryEnd {
  struct MemoryEnd *other; /* NULL: it is closed */
  Runtime *rt;
  uint64_t number; /* the same for both ends, from 1 */
  PassHook hook;
  Buffer in; /* what the other end has written */
  size_t at; /* how much of that has been read */
  int ended; /* what follows: 0, UV_EOF or UV_ECONNRESET */
  /* Called at the end of a pass: there may be bytes or room, or the other end has closed. It may
     close this end. */
  void (*ready)(struct MemoryEnd *end);
  void *user;
} MemoryEnd;

/* What can be connected to. */
typedef struct MemoryPort {
  /* Returns the client's end of a new connection, whose `ready` and `user` the client sets. NULL:
     memory is out, or it takes no more. */
  MemoryEnd *(*connect)(struct MemoryPort *port);
} MemoryPort;

/* What both sides call the request that follows `before` others on a pipe; never 0. */
static inline uint64_t memory_end_request(uint64_t pipe, uint32_t before) {
  return pipe << 32 | before;
}

/* Makes a pipe with this number. `ready` and `user` of both ends are to be set before the pass
   ends. False if memory is out. */
bool memory_end_pair(Runtime *rt, uint64_t number, MemoryEnd *ends[2]);

/* Writes as much as there is room for. Returns the number of bytes, or UV_EPIPE or UV_ENOMEM. */
ssize_t memory_end_write(MemoryEnd *end, const struct iovec *parts, size_t n);

/* Reads up to `n` bytes. Returns their number; 0: there are none yet; UV_EOF or UV_ECONNRESET:
   none will come. */
ssize_t memory_end_read(MemoryEnd *end, char *bytes, size_t n);

/* Bytes that this end has written and the other one has not read. */
size_t memory_end_unread(const MemoryEnd *end);

/* Is there something to read, or the end? */
bool memory_end_has_news(const MemoryEnd *end);

/* Has `ready` called once more. */
static inline void memory_end_ask(MemoryEnd *end) { runtime_at_pass_end(end->rt, &end->hook); }

/* Writes nothing more; the other end still may. */
void memory_end_shut(MemoryEnd *end);

/* Closes the end and frees it. With `reset`, the other one does not take that for an orderly
   end. */
void memory_end_close(MemoryEnd *end, bool reset);

#endif
