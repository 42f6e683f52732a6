/* Limits how much of the responses waits in the kernel. Otherwise each client that does not read
   would take megabytes, and a thousand of those exhaust the memory shared by all sockets of the
   system. On the other hand, fast clients are cheaper to serve if much is ready for them. So a
   connection gets little, and a few whose clients have proved to be fast get as much as the kernel
   allows. Bytes in flight to a client that reads do not count (Linux: TCP_NOTSENT_LOWAT). */
#ifndef ML_HTTP_UNSENT_H
#define ML_HTTP_UNSENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct HttpServer HttpServer;

/* For a streamed response. All zero: it has not begun. */
typedef struct HttpUnsent {
  uint64_t since; /* loop milliseconds */
  size_t taken;   /* bytes since then */
  bool is_large;
} HttpUnsent;

/* For all connections of a listening socket. */
void http_unsent_limit(int fd);

/* `n` more bytes of the response have been written to the connection's socket `fd`, or are
   ready. */
void http_unsent_taken(HttpUnsent *u, HttpServer *server, int fd, size_t n);

/* The response is over. */
void http_unsent_over(HttpUnsent *u, HttpServer *server, int fd);

#endif
