#include "http/http2_memory.h"

#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* The size of the buffer of frames: their head, the length of padding, and the largest payload that
   RFC 9113 allows without asking. Another one, in another version of nghttp2, would keep its
   memory.
 */
enum { FRAMES_SIZE = 9 + 1 + 16384 };

/* Stands before each block: nghttp2 does not say how large the one is that it gives back. */
typedef struct Head {
  _Alignas(MEMORY_GRAIN) size_t size; /* of both */
} Head;

static void *start_of(Head *head, size_t size) {
  if (!head) return NULL;
  head->size = size;
  return head + 1;
}

static void *give(size_t size, void *data) {
  Http2Memory *m = data;
  if (size > SIZE_MAX - sizeof(Head)) return NULL;
  void *block =
      start_of(memory_alloc(m->memory, NULL, 0, size + sizeof(Head)), size + sizeof(Head));
  if (size == FRAMES_SIZE && !m->frames) m->frames = block;
  return block;
}

static void *give_zeroed(size_t n, size_t size, void *memory) {
  if (size && n > SIZE_MAX / size) return NULL;
  void *block = give(n * size, memory);
  return block ? memset(block, 0, n * size) : NULL;
}

static void take_back(void *block, void *data) {
  Http2Memory *m = data;
  if (!block) return;
  Head *head = (Head *)block - 1;
  if (block == m->frames) m->frames = NULL;
  memory_alloc(m->memory, head, head->size, 0);
}

static void *resize(void *block, size_t size, void *data) {
  Http2Memory *m = data;
  if (!block) return give(size, data);
  if (size > SIZE_MAX - sizeof(Head)) return NULL;
  Head *head = (Head *)block - 1;
  size += sizeof(Head);
  void *resized = start_of(memory_alloc(m->memory, head, head->size, size), size);
  if (resized && block == m->frames)
    m->frames = NULL; /* it is not that large any more, or larger */
  return resized;
}

void http2_memory_rest(const Http2Memory *m) {
  if (!m->frames) return;
  uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), at = (uintptr_t)m->frames;
  uintptr_t from = (at + page - 1) / page * page, to = (at + FRAMES_SIZE) / page * page;
  if (from < to) madvise((void *)from, to - from, MADV_DONTNEED);
}

nghttp2_mem http2_memory(Http2Memory *memory) {
  return (nghttp2_mem){.mem_user_data = memory,
                       .malloc = give,
                       .free = take_back,
                       .calloc = give_zeroed,
                       .realloc = resize};
}
