/* What a read of a stream asks for, looked for in the bytes that have come. Knows nothing of
   streams and tasks. */
#ifndef ML_STREAM_SCAN_H
#define ML_STREAM_SCAN_H

#include <stdbool.h>
#include <stddef.h>

typedef enum StreamFormat {
  STREAM_LINE,    /* a line without its newline */
  STREAM_LINE_NL, /* a line with it */
  STREAM_ALL,     /* everything up to the end */
  STREAM_COUNT,   /* a number of bytes, or what there is before the end */
  STREAM_SOME,    /* what there is */
  STREAM_UNTIL,   /* everything up to and with a delimiter */
} StreamFormat;

/* What is asked for. Begins with `scanned` 0, which makes each look continue where the last one has
   ended. */
typedef struct StreamWant {
  StreamFormat format;
  size_t n;              /* COUNT: bytes; SOME: at most; lines and UNTIL: the longest */
  const char *delimiter; /* of UNTIL; its owner keeps it */
  size_t delimiter_len;  /* at least 1 */
  size_t scanned;        /* bytes in which no delimiter begins */
} StreamWant;

typedef enum StreamLook {
  STREAM_MORE,  /* not there yet */
  STREAM_FOUND, /* `*len` bytes to give, and `*used` to go on behind */
  STREAM_END,   /* the end, and nothing before it */
  STREAM_LIMIT, /* longer than `n` */
  STREAM_LOST,  /* the stream has failed before it was whole */
} StreamLook;

/* How the bytes end. */
typedef enum StreamTail { STREAM_OPEN, STREAM_ENDED, STREAM_BROKEN } StreamTail;

/* Looks for it in the `n` bytes that have come so far; the first ones are those of the look before.
 */
StreamLook stream_scan(StreamWant *want, const char *bytes, size_t n, StreamTail tail, size_t *len,
                       size_t *used);

#endif
