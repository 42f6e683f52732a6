#include "http/http2_memory.h"

#include <stdint.h>
#include <string.h>

/* Stands before each block: nghttp2 does not say how large the one is that it gives back. */
typedef struct Head {
  _Alignas(MEMORY_GRAIN) size_t size; /* of both */
} Head;

static void *start_of(Head *head, size_t size) {
  if (!head) return NULL;
  head->size = size;
  return head + 1;
}

static void *give(size_t size, void *memory) {
  if (size > SIZE_MAX - sizeof(Head)) return NULL;
  size += sizeof(Head);
  return start_of(memory_alloc(memory, NULL, 0, size), size);
}

static void *give_zeroed(size_t n, size_t size, void *memory) {
  if (size && n > SIZE_MAX / size) return NULL;
  void *block = give(n * size, memory);
  return block ? memset(block, 0, n * size) : NULL;
}

static void take_back(void *block, void *memory) {
  if (!block) return;
  Head *head = (Head *)block - 1;
  memory_alloc(memory, head, head->size, 0);
}

static void *resize(void *block, size_t size, void *memory) {
  if (!block) return give(size, memory);
  if (size > SIZE_MAX - sizeof(Head)) return NULL;
  Head *head = (Head *)block - 1;
  size += sizeof(Head);
  return start_of(memory_alloc(memory, head, head->size, size), size);
}

nghttp2_mem http2_memory(Memory *memory) {
  return (nghttp2_mem){.mem_user_data = memory,
                       .malloc = give,
                       .free = take_back,
                       .calloc = give_zeroed,
                       .realloc = resize};
}
