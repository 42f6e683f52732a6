/* The content of all parts of a form that is wanted whole, until the form has come to its end: one
   that is refused, or whose client goes away, is freed at once. As strings of Lua it would wait for
   the collector. */
#ifndef ML_MULTIPART_KEPT_H
#define ML_MULTIPART_KEPT_H

#include <stdbool.h>
#include <stddef.h>

/* All zero: nothing is kept. */
typedef struct MultipartKept {
  struct MultipartBlock *blocks;
  size_t *parts; /* bytes of each */
  size_t n_blocks, n_parts;
  size_t block, at, part; /* what is taken next */
} MultipartKept;

/* From now on the data are of a new part. False: memory is out. */
bool multipart_kept_part(MultipartKept *kept);

/* Adds to the part. False: memory is out. */
bool multipart_kept_add(MultipartKept *kept, const char *data, size_t n);

/* The bytes of the part that is taken next; false: there is none. */
bool multipart_kept_next(const MultipartKept *kept, size_t *size);

/* Copies that part, which is no longer kept then. */
void multipart_kept_take(MultipartKept *kept, char *to);

void multipart_kept_free(MultipartKept *kept);

#endif
