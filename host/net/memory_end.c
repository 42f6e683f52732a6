#include "net/memory_end.h"

#include <stdlib.h>

#define CAPACITY (64 * 1024) /* bytes that wait in one direction */

static void run(PassHook *hook, Runtime *rt) {
  (void)rt;
  MemoryEnd *end = container_of(hook, MemoryEnd, hook);
  end->ready(end);
}

bool memory_end_pair(Runtime *rt, uint64_t number, MemoryEnd *ends[2]) {
  MemoryEnd *a = calloc(1, sizeof *a), *b = calloc(1, sizeof *b);
  if (!a || !b) {
    free(a);
    free(b);
    return false;
  }
  *a = (MemoryEnd){.other = b, .rt = rt, .number = number, .hook.run = run};
  *b = (MemoryEnd){.other = a, .rt = rt, .number = number, .hook.run = run};
  ends[0] = a;
  ends[1] = b;
  return true;
}

size_t memory_end_unread(const MemoryEnd *end) {
  return end->other ? end->other->in.len - end->other->at : 0;
}

ssize_t memory_end_write(MemoryEnd *end, const struct iovec *parts, size_t n) {
  MemoryEnd *other = end->other;
  if (!other || other->ended) return UV_EPIPE;
  size_t room = CAPACITY - memory_end_unread(end), taken = 0;
  for (size_t i = 0; i < n && room; i++) {
    size_t part = parts[i].iov_len < room ? parts[i].iov_len : room;
    if (!buffer_add(&other->in, parts[i].iov_base, part)) return taken ? (ssize_t)taken : UV_ENOMEM;
    taken += part;
    room -= part;
  }
  if (taken) memory_end_ask(other);
  return (ssize_t)taken;
}

ssize_t memory_end_read(MemoryEnd *end, char *bytes, size_t n) {
  size_t there = end->in.len - end->at;
  if (!there) return end->ended;
  if (n > there) n = there;
  memcpy(bytes, end->in.data + end->at, n);
  end->at += n;
  if (end->other && there == CAPACITY) memory_end_ask(end->other); /* it may have been waiting */
  if (end->at == end->in.len) {
    end->in.len = end->at = 0;
  } else if (end->at > end->in.len / 2) {
    end->in.len -= end->at;
    memmove(end->in.data, end->in.data + end->at, end->in.len);
    end->at = 0;
  }
  return (ssize_t)n;
}

bool memory_end_has_news(const MemoryEnd *end) { return end->in.len > end->at || end->ended; }

static void end_other(MemoryEnd *end, int how) {
  MemoryEnd *other = end->other;
  if (!other || other->ended == how) return;
  if (!other->ended) other->ended = how;
  memory_end_ask(other);
}

void memory_end_shut(MemoryEnd *end) { end_other(end, UV_EOF); }

void memory_end_close(MemoryEnd *end, bool reset) {
  MemoryEnd *other = end->other;
  if (other) {
    /* As a socket does: what was sent to a closed end is answered by a reset. */
    end_other(end, reset ? UV_ECONNRESET : UV_EOF);
    other->other = NULL;
    memory_end_ask(other);
  }
  runtime_not_at_pass_end(end->rt, &end->hook);
  buffer_free(&end->in);
  free(end);
}
