#include "http/brotli_encoder.h"

#include <setjmp.h>
#include <stddef.h>
#include <stdlib.h>

/* A block of the library's memory, in a list, so that all of it can be freed at any time. */
typedef struct Block {
  struct Block *next, **link;
  _Alignas(max_align_t) char bytes[];
} Block;

struct BrotliEncoder {
  BrotliEncoderState *state;
  Block *blocks;
  jmp_buf no_memory; /* set while the library runs */
};

/* The library calls exit when an allocation fails, so it is left by a jump over its frames, which
   own nothing but blocks. */
static void *allocate(void *opaque, size_t size) {
  BrotliEncoder *e = opaque;
  Block *block = size <= SIZE_MAX / 2 ? malloc(sizeof *block + size) : NULL;
  if (!block) longjmp(e->no_memory, 1);
  block->next = e->blocks;
  block->link = &e->blocks;
  if (block->next) block->next->link = &block->next;
  e->blocks = block;
  return block->bytes;
}

static void release(void *opaque, void *bytes) {
  (void)opaque;
  if (!bytes) return;
  Block *block = (Block *)((char *)bytes - offsetof(Block, bytes));
  *block->link = block->next;
  if (block->next) block->next->link = block->link;
  free(block);
}

static bool open(BrotliEncoder *e, int quality, int window) {
  if (setjmp(e->no_memory)) return false;
  e->state = BrotliEncoderCreateInstance(allocate, release, e);
  return e->state && BrotliEncoderSetParameter(e->state, BROTLI_PARAM_LGWIN, (uint32_t)window) &&
         BrotliEncoderSetParameter(e->state, BROTLI_PARAM_QUALITY, (uint32_t)quality);
}

BrotliEncoder *brotli_encoder_new(int quality, int window) {
  BrotliEncoder *e = calloc(1, sizeof *e);
  if (!e || open(e, quality, window)) return e;
  brotli_encoder_free(e);
  return NULL;
}

bool brotli_encoder_step(BrotliEncoder *e, BrotliEncoderOperation operation, size_t *in_len,
                         const uint8_t **in, size_t *out_len, uint8_t **out) {
  if (setjmp(e->no_memory)) return false;
  return BrotliEncoderCompressStream(e->state, operation, in_len, in, out_len, out, NULL);
}

bool brotli_encoder_is_finished(BrotliEncoder *e) { return BrotliEncoderIsFinished(e->state); }

bool brotli_encoder_has_output(BrotliEncoder *e) { return BrotliEncoderHasMoreOutput(e->state); }

/* After a jump the library's state must not be touched: it consists only of blocks. */
void brotli_encoder_free(BrotliEncoder *e) {
  while (e->blocks) release(e, e->blocks->bytes);
  free(e);
}
