/* The access log of a server: a line for each response, also for those that no handler made. A
   server without one has no HttpServer.log, and its requests cost nothing here. */
#ifndef ML_ACCESS_LOG_H
#define ML_ACCESS_LOG_H

#include "http_connection.h"

enum {
  ACCESS_ID_MAX = 128,          /* bytes of a request's id */
  ACCESS_LOG_MAX = 1024 * 1024, /* bytes of lines that may wait for whoever takes them */
};

/* What is known of a request before it is over; one a connection, while its server has a log. */
typedef struct AccessNote {
  uint64_t began;       /* on the runtime's clock in nanoseconds, or 0: no request is under way */
  uint64_t bytes;       /* of the response's body, without its framing */
  int status;           /* of the response; 0: there is none */
  Buffer text;          /* the request line, the Referer, the User-Agent */
  size_t line, referer; /* how much of it is which; the rest is the User-Agent */
  bool parsed;          /* the request line is a good one */
  size_t id_len;
  char id[ACCESS_ID_MAX];
} AccessNote;

/* One that is over. Texts are as the client sent them, any bytes. */
typedef struct AccessEntry {
  char client[46]; /* address */
  time_t seconds;  /* since 1970, when the response was complete */
  unsigned milliseconds;
  double duration; /* seconds since the head was read; 0 where it never was */
  uint64_t number; /* of the request; 0: it had no handler */
  int worker;      /* the number of the worker process; 0: it is none */
  const AccessNote *note;
} AccessEntry;

typedef struct AccessLog {
  /* Appends the entry to `out`, with a line end. False when memory is out. */
  bool (*format)(Buffer *out, const AccessEntry *entry);
  /* Takes some or all of `lines`, of which there are some, at the end of a pass. */
  void (*flush)(struct AccessLog *log);
  Buffer lines;
  int worker;  /* the number of the worker process that keeps it; 0: it is none */
  size_t lost; /* entries that there was no room for */
} AccessLog;

/* The head of the connection's current request is there. */
void access_log_begin(HttpConnection *c);

/* The current request is over, whether it was answered or not. `number` stands for an id that
   nobody has given it; 0: it had no handler. */
void access_log_end(HttpConnection *c, uint64_t number);

/* Frees what the connection keeps. */
void access_log_forget(HttpConnection *c);

/* The formats. Common: the "combined" one of Apache, then the duration in seconds and the id:
     127.0.0.1 - - [23/Nov/2026:09:45:01 +0000] "GET /x HTTP/1.1" 200 13 "-" "curl/8" 0.000104 "7"
   A worker process adds its number.
   In quotes, what is no printable ASCII, quotes and backslashes are written as \xhh. */
bool access_log_common(Buffer *out, const AccessEntry *entry);
/* A JSON object a line. Bytes that are no UTF-8 are written as the text \xhh. */
bool access_log_json(Buffer *out, const AccessEntry *entry);

/* A flush: all lines go to the standard output, together with what else the process writes there.
   Where worker processes share that, a line is not torn by those of the others (for a pipe: one of
   up to 4 kB). */
void access_log_to_stdout(AccessLog *log);

#endif
