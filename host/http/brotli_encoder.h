/* The brotli encoder, for a process that must survive a lack of memory: by itself, the library
   would end the process. */
#ifndef ML_BROTLI_ENCODER_H
#define ML_BROTLI_ENCODER_H

#include <brotli/encode.h>
#include <stdbool.h>

typedef struct BrotliEncoder BrotliEncoder;

/* `quality` 0 to 11, `window` 10 to 24 bits. NULL when memory is out. */
BrotliEncoder *brotli_encoder_new(int quality, int window);

/* BrotliEncoderCompressStream. False if memory runs out: then it can only be freed. */
bool brotli_encoder_step(BrotliEncoder *e, BrotliEncoderOperation operation, size_t *in_len,
                         const uint8_t **in, size_t *out_len, uint8_t **out);

/* Has the last byte of the stream been output? */
bool brotli_encoder_is_finished(BrotliEncoder *e);

/* Is there output that had no room? */
bool brotli_encoder_has_output(BrotliEncoder *e);

/* Frees the encoder, at any point of its stream. */
void brotli_encoder_free(BrotliEncoder *e);

#endif
