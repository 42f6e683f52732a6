#include "http/multipart_kept.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Small forms are in malloc's memory. What is longer has pages of its own, which return to the
   system with it: malloc would keep those of forms that were refused, or have become strings, and
   a burst of forms would take twice what they have. */
enum { FIRST = 4 << 10, OWN_PAGES = 64 << 10, BLOCK = 256 << 10 };

typedef struct MultipartBlock {
  char *data;
  size_t len, cap;
} MultipartBlock;

static bool has_pages(const MultipartBlock *b) { return b->cap >= OWN_PAGES; }

static bool open_block(MultipartBlock *b, size_t cap) {
  *b = (MultipartBlock){.cap = cap};
  if (!has_pages(b)) {
    b->data = malloc(cap);
    return b->data;
  }
  void *pages = mmap(NULL, cap, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (pages == MAP_FAILED) return false;
  b->data = pages;
  return true;
}

static void close_block(MultipartBlock *b) {
  if (has_pages(b))
    munmap(b->data, b->cap);
  else
    free(b->data);
}

/* The items with room for one more behind n of them, which is a power of two. NULL: memory is out.
 */
static void *with_room(void *items, size_t n, size_t size) {
  return n & (n - 1) ? items : realloc(items, (n ? 2 * n : 1) * size);
}

/* The block that is filled; NULL: memory is out. Each is twice as large as the one before it. */
static MultipartBlock *block_with_room(MultipartKept *k) {
  MultipartBlock *last = k->n_blocks ? &k->blocks[k->n_blocks - 1] : NULL;
  if (last && last->len < last->cap) return last;
  size_t cap = !last ? FIRST : last->cap < BLOCK ? 2 * last->cap : BLOCK;
  MultipartBlock *blocks = with_room(k->blocks, k->n_blocks, sizeof *blocks);
  if (!blocks) return NULL;
  k->blocks = blocks;
  if (!open_block(&blocks[k->n_blocks], cap)) return NULL;
  return &blocks[k->n_blocks++];
}

bool multipart_kept_part(MultipartKept *k) {
  size_t *parts = with_room(k->parts, k->n_parts, sizeof *parts);
  if (!parts) return false;
  k->parts = parts;
  k->parts[k->n_parts++] = 0;
  return true;
}

bool multipart_kept_add(MultipartKept *k, const char *data, size_t n) {
  k->parts[k->n_parts - 1] += n;
  while (n > 0) {
    MultipartBlock *b = block_with_room(k);
    if (!b) return false;
    size_t room = b->cap - b->len, some = n < room ? n : room;
    memcpy(b->data + b->len, data, some);
    b->len += some;
    data += some;
    n -= some;
  }
  return true;
}

bool multipart_kept_next(const MultipartKept *k, size_t *size) {
  if (k->part >= k->n_parts) return false;
  *size = k->parts[k->part];
  return true;
}

void multipart_kept_take(MultipartKept *k, char *to) {
  for (size_t left = k->parts[k->part++]; left > 0;) {
    MultipartBlock *b = &k->blocks[k->block];
    size_t n = b->len - k->at < left ? b->len - k->at : left;
    memcpy(to, b->data + k->at, n);
    to += n;
    left -= n;
    k->at += n;
    if (k->at < b->len) break;
    close_block(b);
    k->block++;
    k->at = 0;
  }
}

void multipart_kept_free(MultipartKept *k) {
  for (size_t i = k->block; i < k->n_blocks; i++) close_block(&k->blocks[i]);
  free(k->blocks);
  free(k->parts);
  *k = (MultipartKept){0};
}
