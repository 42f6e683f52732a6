/* What one client may cost a server: bytes, counts and times, each with a default that holds
   without configuration. One table names them for `ml.web.listen`, `ml.web.app` and `moonloop
   serve`. */
#ifndef ML_HTTP_LIMITS_H
#define ML_HTTP_LIMITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_NO_LIMIT UINT64_MAX

/* Bytes of a body that a handler wants in one piece, if no max_body was given. */
#define HTTP_MAX_WHOLE_BODY (1024 * 1024)

/* The default address of a server. */
#define HTTP_LISTEN_HOST "127.0.0.1"
#define HTTP_LISTEN_PORT 8000

typedef struct HttpLimits {
  uint64_t max_request_line;  /* bytes: 414 */
  uint64_t max_header_bytes;  /* of the head, with the request line: 431 */
  uint64_t max_headers;       /* lines: 431 */
  uint64_t max_body;          /* bytes, unless the route has its own limit: 413 */
  uint64_t handshake_timeout; /* milliseconds for the handshake of TLS, from accepting on */
  uint64_t header_timeout;    /* milliseconds for a whole head, from its first byte: 408 */
  uint64_t body_timeout;      /* milliseconds between two pieces of a body: 408 */
  uint64_t body_total;        /* milliseconds for a whole body, without pauses of ours: 408 */
  uint64_t body_rate;         /* least bytes per second of a body after body_timeout */
  uint64_t keep_alive;        /* milliseconds between two requests */
  uint64_t write_timeout;     /* milliseconds in which a client must take some of a response */
  uint64_t write_rate;        /* least bytes per second that it takes after write_timeout */
  uint64_t max_connections;   /* idle ones are closed for further clients */
  uint64_t max_per_ip;        /* connections of one address; more are closed */
  uint64_t max_buffered;      /* bytes kept of all bodies and responses together: 503 */
  uint64_t max_values;        /* in a body of JSON: 400 */
  uint64_t read_ahead;        /* bytes of requests that follow the running one */
  uint64_t drain;             /* milliseconds for running requests when the server stops */
} HttpLimits;

/* One row of the table: a limit as users write it. */
typedef struct HttpLimit {
  const char *name;   /* the field's name; on the command line with '-' for '_' */
  const char *unit;   /* "bytes", "seconds", … */
  const char *help;   /* one line */
  double fallback;    /* the default, in `unit` */
  double least, most; /* what is allowed */
  size_t offset;      /* offset of the field */
} HttpLimit;

enum { HTTP_LIMITS = sizeof(HttpLimits) / sizeof(uint64_t) };
extern const HttpLimit http_limits[HTTP_LIMITS];

/* Sets every field to its default. */
void http_limits_default(HttpLimits *limits);

/* The row of `name` (`n` bytes, with '_' or '-'), or NULL. */
const HttpLimit *http_limits_find(const char *name, size_t n);

/* Sets a field to `value`, in the row's unit. Seconds become milliseconds, at least one, and
   infinity becomes HTTP_NO_LIMIT. False, with nothing set, if it is not allowed. */
bool http_limits_set(HttpLimits *limits, const HttpLimit *limit, double value);

/* Writes what is allowed, such as "a number of seconds above 0", into `out` of `size` bytes. */
void http_limits_describe(const HttpLimit *limit, char *out, size_t size);

#endif
