#include "http/content_coding.h"

#include "http/brotli_encoder.h"
#include <brotli/decode.h>
#include <stdint.h>
#include <stdlib.h>
#include <strings.h>
#include <zlib.h>

enum {
  GZIP_LEVEL = 4,
  BROTLI_LEVEL = 4, /* 1.6 MB for a short time */
  BROTLI_WINDOW = 16,
  /* A stream's encoder lives as long as its client: this takes 0.7 MB, for 5 % more bytes. */
  BROTLI_STREAM_LEVEL = 3,
  BROTLI_STREAM_WINDOW = 15,
  ZLIB_WINDOW = 15,
  ZLIB_GZIP = 16,          /* added to the window: the gzip format */
  ENCODE_STEP = 128 << 10, /* bytes of a whole content: a few milliseconds */
  PIECE = 4096,            /* least room for output: more than a flush needs at once */
  MAX_PIECE = 1 << 20,
  MAX_BARREN = 256 * 1024, /* bytes decoded to nothing: no encoder writes as many */
};

typedef enum Operation { FEED, FLUSH, FINISH } Operation;

/* The input and the output of one step. */
typedef struct Step {
  Operation operation;
  const uint8_t *in;
  uint8_t *out;
  size_t in_len, out_len;
} Step;

typedef enum StepResult {
  STEP_IDLE,  /* the input is used up, and its output is written */
  STEP_FULL,  /* the output is full */
  STEP_ENDED, /* the stream has ended */
  STEP_MALFORMED,
  STEP_NO_MEMORY,
} StepResult;

struct ContentCoder {
  StepResult (*step)(ContentCoder *c, Step *step);
  ContentCoding coding;
  bool encodes;
  bool zlib_open;
  bool started;  /* there was input */
  bool ended;    /* the stream, or this member of a gzip file, is complete */
  size_t barren; /* bytes decoded since the last one of the output */
  union {
    z_stream zlib;
    BrotliEncoder *encoder;
    BrotliDecoderState *decoder;
  };
};

bool content_coding_find(const char *name, size_t n, ContentCoding *coding) {
  static const struct {
    const char *name;
    ContentCoding coding;
  } known[] = {{"gzip", CODING_GZIP},
               {"x-gzip", CODING_GZIP},
               {"deflate", CODING_DEFLATE},
               {"br", CODING_BROTLI}};
  for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
    if (strlen(known[i].name) == n && !strncasecmp(known[i].name, name, n)) {
      *coding = known[i].coding;
      return true;
    }
  return false;
}

/* --- zlib --- */

static void zlib_begin(ContentCoder *c, const Step *step) {
  size_t in = step->in_len < MAX_PIECE ? step->in_len : MAX_PIECE;
  size_t out = step->out_len < MAX_PIECE ? step->out_len : MAX_PIECE;
  c->zlib.next_in = (uint8_t *)step->in;
  c->zlib.avail_in = (unsigned)in;
  c->zlib.next_out = step->out;
  c->zlib.avail_out = (unsigned)out;
}

static StepResult zlib_end(ContentCoder *c, Step *step) {
  bool full = c->zlib.avail_out == 0;
  step->in_len -= (size_t)(c->zlib.next_in - step->in);
  step->in = c->zlib.next_in;
  step->out_len -= (size_t)(c->zlib.next_out - step->out);
  step->out = c->zlib.next_out;
  return full || step->in_len ? STEP_FULL : STEP_IDLE;
}

static StepResult deflate_step(ContentCoder *c, Step *step) {
  static const int flushes[] = {[FEED] = Z_NO_FLUSH, [FLUSH] = Z_SYNC_FLUSH, [FINISH] = Z_FINISH};
  bool is_last = step->in_len <= MAX_PIECE; /* of the pieces of this input */
  zlib_begin(c, step);
  int rc = deflate(&c->zlib, is_last ? flushes[step->operation] : Z_NO_FLUSH);
  StepResult result = zlib_end(c, step);
  if (rc == Z_STREAM_END) return STEP_ENDED;
  return rc == Z_OK || rc == Z_BUF_ERROR ? result : STEP_NO_MEMORY;
}

/* Bare deflate data begins with three bits for the kind of block; the first byte of the zlib
   format, x8, would be a block without compression whose padding is not zero. */
static bool is_zlib_format(uint8_t first) { return (first & 0x0f) == 8; }

static StepResult inflate_step(ContentCoder *c, Step *step) {
  if (!c->zlib_open) {
    if (!step->in_len) return STEP_IDLE;
    int window = is_zlib_format(*step->in) ? ZLIB_WINDOW : -ZLIB_WINDOW;
    if (inflateInit2(&c->zlib, window) != Z_OK) return STEP_NO_MEMORY;
    c->zlib_open = true;
  }
  zlib_begin(c, step);
  int rc = inflate(&c->zlib, Z_NO_FLUSH);
  StepResult result = zlib_end(c, step);
  if (rc == Z_STREAM_END) return STEP_ENDED;
  if (rc == Z_MEM_ERROR) return STEP_NO_MEMORY;
  return rc == Z_OK || rc == Z_BUF_ERROR ? result : STEP_MALFORMED;
}

/* --- brotli --- */

static StepResult brotli_encode_step(ContentCoder *c, Step *step) {
  static const BrotliEncoderOperation operations[] = {
      [FEED] = BROTLI_OPERATION_PROCESS,
      [FLUSH] = BROTLI_OPERATION_FLUSH,
      [FINISH] = BROTLI_OPERATION_FINISH,
  };
  if (!brotli_encoder_step(c->encoder, operations[step->operation], &step->in_len, &step->in,
                           &step->out_len, &step->out))
    return STEP_NO_MEMORY;
  if (brotli_encoder_is_finished(c->encoder)) return STEP_ENDED;
  return step->in_len || brotli_encoder_has_output(c->encoder) ? STEP_FULL : STEP_IDLE;
}

static StepResult brotli_decode_step(ContentCoder *c, Step *step) {
  switch (BrotliDecoderDecompressStream(c->decoder, &step->in_len, &step->in, &step->out_len,
                                        &step->out, NULL)) {
  case BROTLI_DECODER_RESULT_SUCCESS:
    return STEP_ENDED;
  case BROTLI_DECODER_RESULT_NEEDS_MORE_INPUT:
    return STEP_IDLE;
  case BROTLI_DECODER_RESULT_NEEDS_MORE_OUTPUT:
    return STEP_FULL;
  default:
    break;
  }
  BrotliDecoderErrorCode code = BrotliDecoderGetErrorCode(c->decoder);
  bool no_memory = code <= BROTLI_DECODER_ERROR_ALLOC_CONTEXT_MODES &&
                   code >= BROTLI_DECODER_ERROR_ALLOC_BLOCK_TYPE_TREES;
  return no_memory ? STEP_NO_MEMORY : STEP_MALFORMED;
}

/* --- coders --- */

static ContentCoder *coder_new(ContentCoding coding, bool encodes,
                               StepResult (*step)(ContentCoder *c, Step *step)) {
  ContentCoder *c = calloc(1, sizeof *c);
  if (!c) return NULL;
  c->coding = coding;
  c->encodes = encodes;
  c->step = step;
  return c;
}

static ContentCoder *gzip_encoder_new(int level) {
  ContentCoder *c = coder_new(CODING_GZIP, true, deflate_step);
  if (!c) return NULL;
  if (deflateInit2(&c->zlib, level ? level : GZIP_LEVEL, Z_DEFLATED, ZLIB_WINDOW + ZLIB_GZIP, 8,
                   Z_DEFAULT_STRATEGY) != Z_OK) {
    free(c);
    return NULL;
  }
  c->zlib_open = true;
  return c;
}

static ContentCoder *brotli_encoder(int level, int window) {
  ContentCoder *c = coder_new(CODING_BROTLI, true, brotli_encode_step);
  if (!c) return NULL;
  c->encoder = brotli_encoder_new(level, window);
  if (c->encoder) return c;
  free(c);
  return NULL;
}

ContentCoder *content_coding_encoder_new(ContentCoding coding, int level) {
  if (coding == CODING_GZIP) return gzip_encoder_new(level);
  if (coding != CODING_BROTLI) return NULL;
  return brotli_encoder(level ? level : BROTLI_STREAM_LEVEL, BROTLI_STREAM_WINDOW);
}

ContentCoder *content_coding_decoder_new(ContentCoding coding) {
  bool brotli = coding == CODING_BROTLI;
  ContentCoder *c = coder_new(coding, false, brotli ? brotli_decode_step : inflate_step);
  if (!c || coding == CODING_DEFLATE) return c; /* deflate's first byte tells the format */
  if (brotli) {
    c->decoder = BrotliDecoderCreateInstance(NULL, NULL, NULL);
    if (c->decoder) return c;
  } else if (inflateInit2(&c->zlib, ZLIB_WINDOW + ZLIB_GZIP) == Z_OK) {
    c->zlib_open = true;
    return c;
  }
  free(c);
  return NULL;
}

void content_coding_coder_free(ContentCoder *c) {
  if (!c) return;
  if (c->coding == CODING_BROTLI && c->encodes)
    brotli_encoder_free(c->encoder);
  else if (c->coding == CODING_BROTLI)
    BrotliDecoderDestroyInstance(c->decoder);
  else if (c->zlib_open && c->encodes)
    deflateEnd(&c->zlib);
  else if (c->zlib_open)
    inflateEnd(&c->zlib);
  free(c);
}

/* After a gzip member another one may follow (RFC 1952 section 2.2); after anything else nothing
   may. */
static bool begin_next_member(ContentCoder *c) {
  if (c->coding != CODING_GZIP || inflateReset(&c->zlib) != Z_OK) return false;
  c->ended = false;
  return true;
}

static CodingResult run(ContentCoder *c, Operation operation, const char **bytes, size_t *n,
                        Buffer *out, size_t limit) {
  Step step = {.operation = operation, .in = (const uint8_t *)*bytes, .in_len = *n};
  if (*n) c->started = true;
  for (;;) {
    if (c->ended) {
      if (!step.in_len) return CODING_DONE;
      if (c->encodes || !begin_next_member(c)) return CODING_MALFORMED;
    }
    if (out->len >= limit) return CODING_FULL;
    if (out->cap - out->len < PIECE && !buffer_reserve(out, PIECE)) return CODING_NO_MEMORY;
    size_t room = out->cap - out->len;
    if (room > limit - out->len) room = limit - out->len;
    step.out = (uint8_t *)out->data + out->len;
    step.out_len = room;
    StepResult result = c->step(c, &step);
    out->len += room - step.out_len;
    c->barren = step.out_len < room ? 0 : c->barren + *n - step.in_len;
    *bytes = (const char *)step.in;
    *n = step.in_len;
    if (!c->encodes && c->barren > MAX_BARREN) return CODING_MALFORMED;
    switch (result) {
    case STEP_IDLE:
      return CODING_DONE;
    case STEP_FULL:
      break;
    case STEP_ENDED:
      c->ended = true;
      break;
    case STEP_MALFORMED:
      return CODING_MALFORMED;
    case STEP_NO_MEMORY:
      return CODING_NO_MEMORY;
    }
  }
}

CodingResult content_coding_coder_feed(ContentCoder *c, const char **bytes, size_t *n, Buffer *out,
                                       size_t limit) {
  return run(c, FEED, bytes, n, out, limit);
}

CodingResult content_coding_encode(ContentCoding coding, int level, const char *bytes, size_t n,
                                   const atomic_bool *abandoned, Buffer *out) {
  ContentCoder *c = coding == CODING_BROTLI
                        ? brotli_encoder(level ? level : BROTLI_LEVEL, BROTLI_WINDOW)
                        : content_coding_encoder_new(coding, level);
  if (!c) return CODING_NO_MEMORY;
  CodingResult result = CODING_DONE;
  while (result == CODING_DONE && n > ENCODE_STEP) {
    size_t some = ENCODE_STEP;
    n -= some;
    result = abandoned && atomic_load(abandoned) ? CODING_FULL
                                                 : run(c, FEED, &bytes, &some, out, SIZE_MAX);
  }
  if (result == CODING_DONE) result = run(c, FINISH, &bytes, &n, out, SIZE_MAX);
  content_coding_coder_free(c);
  return result;
}

CodingResult content_coding_coder_flush(ContentCoder *c, Buffer *out) {
  const char *none = "";
  size_t n = 0;
  return run(c, FLUSH, &none, &n, out, SIZE_MAX);
}

CodingResult content_coding_coder_finish(ContentCoder *c, Buffer *out) {
  const char *none = "";
  size_t n = 0;
  if (c->encodes) return run(c, FINISH, &none, &n, out, SIZE_MAX);
  return c->ended || !c->started ? CODING_DONE : CODING_MALFORMED;
}
