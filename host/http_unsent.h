/* How much of the responses waits in the kernel. It would take megabytes for each client that does
   not read, and a thousand of those exhaust what all sockets of the system share; one that reads
   fast is the cheaper the more is there when it comes for more. So a connection has little, and a
   few whose clients have shown that they are fast have as much as the kernel likes. What is on its
   way to a client that reads does not count (Linux: TCP_NOTSENT_LOWAT). */
#ifndef ML_HTTP_UNSENT_H
#define ML_HTTP_UNSENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct HttpServer HttpServer;

/* Of a streamed response. All zero: it has not begun. */
typedef struct HttpUnsent {
  uint64_t since; /* loop milliseconds */
  size_t taken;   /* bytes since then */
  bool is_large;
} HttpUnsent;

/* For all connections of a listening socket. */
void http_unsent_limit(int fd);

/* `n` more bytes of the response have been written to the connection's socket `fd`, or could be. */
void http_unsent_taken(HttpUnsent *u, HttpServer *server, int fd, size_t n);

/* The response is over. */
void http_unsent_over(HttpUnsent *u, HttpServer *server, int fd);

#endif
