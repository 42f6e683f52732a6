/* Reads multipart/form-data (RFC 7578, RFC 2046 section 5.1): bytes in, events out. It has no
   socket and keeps no data, only the headers of the current part. The time is linear in the bytes.

     multipart_feed(&m, bytes, n);
     while ((event = multipart_next(&m)) != MULTIPART_MORE) ...
     at the end of the body: multipart_finish(&m) */
#ifndef ML_MULTIPART_H
#define ML_MULTIPART_H

#include "base/buffer.h"

enum {
  MULTIPART_MAX_BOUNDARY = 70, /* RFC 2046 section 5.1.1 */
  MULTIPART_MAX_LINES = 100,   /* header lines of a part; more are a 413 */
};

typedef enum MultipartEvent {
  MULTIPART_MORE,     /* all bytes are consumed: feed more, or finish */
  MULTIPART_PART,     /* a part begins: `part` */
  MULTIPART_DATA,     /* a piece of its content: `data`, never empty */
  MULTIPART_PART_END, /* the part is complete */
  MULTIPART_END,      /* the last part was complete; what follows is ignored */
  MULTIPART_BAD,      /* `error` says why; nothing more can be read */
} MultipartEvent;

/* A body that exceeds one of these is bad, with status 413. */
typedef struct MultipartLimits {
  size_t max_parts;
  size_t max_header; /* bytes of the header lines of a part */
  size_t max_field;  /* bytes of a part without a file name */
  size_t max_file;   /* bytes of a part with one */
} MultipartLimits;

/* Valid from MULTIPART_PART to MULTIPART_PART_END. Bytes as sent: a file name may have slashes. */
typedef struct MultipartPart {
  const char *name, *filename; /* unquoted, with %22, %0D and %0A decoded; filename may be NULL */
  size_t name_len, filename_len;
  const char *type; /* Content-Type, or NULL */
  size_t type_len;
  const char *headers; /* lines "Name: value\r\n" as sent, checked: see http_header_next */
  size_t headers_len;
} MultipartPart;

typedef struct Multipart {
  MultipartLimits limits;
  enum {
    MULTIPART_IN_PREAMBLE, /* before the first boundary */
    MULTIPART_IN_LINE,     /* in a boundary line, after the boundary */
    MULTIPART_IN_PADDING,  /* after a space there */
    MULTIPART_IN_CLOSE,    /* after the first '-' of "--" */
    MULTIPART_IN_LF,       /* after its CR */
    MULTIPART_IN_HEAD,     /* in the headers of a part */
    MULTIPART_IN_DATA,
    MULTIPART_AT_END, /* after the last boundary */
    MULTIPART_IN_EPILOGUE,
    MULTIPART_FAILED
  } state;
  const char *in; /* the caller's, until the next feed */
  size_t in_len;
  char delimiter[4 + MULTIPART_MAX_BOUNDARY]; /* "\r\n--boundary" */
  size_t delimiter_len;
  size_t matched;  /* how much of it ended the last piece */
  size_t borrowed; /* how much of that is not data: the line end before an immediate boundary */
  Buffer head;     /* the header lines, then the unquoted names */
  size_t line;     /* start of the current header line in it */
  size_t n_lines;  /* of the current part */
  size_t n_parts, part_size;
  MultipartPart part;
  const char *data; /* in `in` or in `delimiter` */
  size_t data_len;
  int error_status; /* 400, 413; 0: memory is out */
  char error[128];  /* plain ASCII: "part 3 has no name" */
} Multipart;

/* Finds the boundary in a Content-Type and copies it to `boundary`. Returns its length; 0 for any
   type but multipart/form-data; -1 if there is no boundary of 1 to 70 legal characters. */
int multipart_boundary(const char *type, size_t n, char boundary[MULTIPART_MAX_BOUNDARY]);

/* Prepares an all-zero parser for the boundary found by multipart_boundary. */
void multipart_open(Multipart *m, const char *boundary, size_t n, const MultipartLimits *limits);

/* Frees the headers. */
void multipart_close(Multipart *m);

/* Passes the next bytes, once multipart_next has returned MULTIPART_MORE. They stay the caller's
   and must not move until it returns that again. */
static inline void multipart_feed(Multipart *m, const char *bytes, size_t n) {
  m->in = bytes;
  m->in_len = n;
}

/* Continues to read the bytes of multipart_feed, up to the next event; MULTIPART_MORE when all of
   them have been read. */
MultipartEvent multipart_next(Multipart *m);

/* The body is over: MULTIPART_END, or MULTIPART_BAD if it was cut off. */
MultipartEvent multipart_finish(Multipart *m);

/* For multipart_head.c and multipart.c: reads `head` into `part`. False: m has failed. */
bool multipart_read_head(Multipart *m);

/* For the same: makes it fail; returns false. */
bool multipart_fail(Multipart *m, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
