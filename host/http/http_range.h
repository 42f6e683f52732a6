/* The Range header (RFC 9110 section 14.2), for representations whose size is known. */
#ifndef ML_HTTP_RANGE_H
#define ML_HTTP_RANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
  HTTP_MAX_RANGES = 16, /* in one header: no honest client sends more, and they are ignored */
  HTTP_RANGE_GAP = 128, /* bytes: it is cheaper to merge ranges that are closer */
};

typedef struct HttpRange {
  uint64_t first, last; /* offsets of bytes, both included */
} HttpRange;

typedef enum HttpRangeResult {
  RANGE_IGNORED,       /* malformed, another unit, too many, or empty: send the whole */
  RANGE_PARTIAL,       /* send the ranges */
  RANGE_UNSATISFIABLE, /* 416 */
} HttpRangeResult;

/* Reads the header's value for a representation of `size` bytes. For RANGE_PARTIAL, `ranges` gets 1
   to HTTP_MAX_RANGES ranges that lie within the size, in the order asked for. Ranges that overlap
   or nearly touch are merged, so that no byte is sent twice. */
HttpRangeResult http_range_parse(const char *text, size_t n, uint64_t size,
                                 HttpRange ranges[HTTP_MAX_RANGES], size_t *count);

#endif
