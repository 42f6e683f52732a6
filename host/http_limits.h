/* What one client may cost a server: bytes, counts and times, each with a default that holds
   without configuration. One table names them for `ml.web.listen`, `ml.web.app` and `moonloop
   serve`. */
#ifndef ML_HTTP_LIMITS_H
#define ML_HTTP_LIMITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_NO_LIMIT UINT64_MAX

typedef struct HttpLimits {
  uint64_t max_request_line; /* bytes: 414 */
  uint64_t max_header_bytes; /* of the head, with the request line: 431 */
  uint64_t max_headers;      /* lines: 431 */
  uint64_t max_body;         /* bytes, where the route has no limit of its own: 413 */
  uint64_t header_timeout;   /* milliseconds for a whole head, from its first byte: 408 */
  uint64_t body_timeout;     /* milliseconds between two pieces of a body: 408 */
  uint64_t body_rate;        /* bytes a second that a body comes with, when body_timeout is over */
  uint64_t keep_alive;       /* milliseconds between two requests */
  uint64_t write_timeout;    /* milliseconds in which a client that gets a response takes some */
  uint64_t write_rate;       /* bytes a second that it takes, when write_timeout is over */
  uint64_t max_connections;  /* beyond it, clients wait in the backlog */
  uint64_t read_ahead;       /* bytes of requests that wait behind the one that runs */
  uint64_t drain;            /* milliseconds that running requests have when the server stops */
} HttpLimits;

/* One row of the table: a limit as people write it. */
typedef struct HttpLimit {
  const char *name;   /* the field's; on the command line with '-' for '_' */
  const char *unit;   /* "bytes", "seconds", … */
  const char *help;   /* one line */
  double fallback;    /* the default, in `unit` */
  double least, most; /* what is allowed */
  size_t offset;      /* of the field */
} HttpLimit;

enum { HTTP_LIMITS = sizeof(HttpLimits) / sizeof(uint64_t) };
extern const HttpLimit http_limits[HTTP_LIMITS];

/* Sets every field to its default. */
void http_limits_default(HttpLimits *limits);

/* The row of `name` (`n` bytes, with '_' or '-'), or NULL. */
const HttpLimit *http_limits_find(const char *name, size_t n);

/* Sets a field to `value`, in the row's unit; seconds become milliseconds, at least one, and
   infinity HTTP_NO_LIMIT. False when it is not allowed: nothing was set. */
bool http_limits_set(HttpLimits *limits, const HttpLimit *limit, double value);

/* "a number of seconds above 0": what is allowed, into `out` of `size` bytes. */
void http_limits_describe(const HttpLimit *limit, char *out, size_t size);

#endif
