/* The access log of a server: a line for each response, including those not made by a handler. A
   server without a log has no HttpServer.log, and its requests cost nothing here. */
#ifndef ML_ACCESS_LOG_H
#define ML_ACCESS_LOG_H

#include "base/output.h"
#include "http/server/http_connection.h"

enum {
  ACCESS_ID_MAX = 128,          /* bytes of a request's id */
  ACCESS_LOG_MAX = 1024 * 1024, /* bytes of lines that may wait to be taken */
};

/* What is known about a request before it is over; one per connection if the server has a log. */
typedef struct AccessNote {
  uint64_t began; /* start on the runtime's clock in nanoseconds; 0: no request is under way */
  uint64_t bytes; /* bytes of the response's body, without its framing */
  int status;     /* of the response; 0: there is none */
  Buffer text;    /* the request line, the Referer, the User-Agent, without secrets in queries */
  size_t line, referer; /* lengths of the first two; the rest is the User-Agent */
  bool parsed;          /* the request line is well formed */
  size_t id_len;        /* 0: it had no handler */
  char id[ACCESS_ID_MAX];
  char trace_id[33]; /* "" if it is in no trace */
} AccessNote;

/* A finished request. Texts are as the client sent them and may have any bytes. */
typedef struct AccessEntry {
  char client[46]; /* address */
  time_t seconds;  /* since 1970, when the response was complete */
  unsigned milliseconds;
  double duration; /* seconds since the head was read; 0 if it never was */
  int worker;      /* the number of the worker process; 0: not a worker */
  int pid;
  const AccessNote *note;
} AccessEntry;

typedef struct AccessLog {
  /* Appends the entry to `out`, with a line end. False when memory is out. */
  bool (*format)(Buffer *out, const AccessEntry *entry);
  /* Takes some or all of `lines`, which is not empty, at the end of a pass. */
  void (*flush)(struct AccessLog *log);
  Buffer lines;
  int worker;         /* the number of the worker process that keeps it; 0: not a worker */
  int pid;            /* of this process: asking for it is a system call */
  Output output;      /* of access_log_to_stdout, opened */
  int error;          /* errno of what cannot be written, or 0 */
  size_t lost;        /* entries without room */
  uint64_t report_at; /* when that may be reported again, on the runtime's clock */
  double pause;       /* seconds between the last report and the next */
} AccessLog;

/* The head of the connection's current request has been read. */
void access_log_begin(HttpConnection *c);

/* The current request is over, whether or not it was answered. `handler` is its task; NULL: it had
   none. */
void access_log_end(HttpConnection *c, const Task *handler);

/* Frees the connection's note. */
void access_log_forget(HttpConnection *c);

/* The formats. Common: the "combined" one of Apache, then the duration in seconds and the id:
     127.0.0.1 - - [23/Nov/2026:09:45:01 +0000] "GET /x HTTP/1.1" 200 13 "-" "curl" 0.000104 "b7-7"
   A worker process adds its number.
   In quotes, what is no printable ASCII, quotes and backslashes are written as \xhh. */
bool access_log_common(Buffer *out, const AccessEntry *entry);
/* A JSON object a line. Bytes that are no UTF-8 are written as the text \xhh. */
bool access_log_json(Buffer *out, const AccessEntry *entry);

/* Flushes to standard output, in order with other output of the process, as many lines as there is
   room for; the others are kept. If worker processes share it, a line is not mixed with those of
   others (for a pipe: lines of up to 4 kB). */
void access_log_to_stdout(AccessLog *log);

/* Drops the waiting lines: they are lost. */
void access_log_drop(AccessLog *log);

/* Reports on standard error how many entries were lost, if any: at most once a second, less often
   while it continues, and only if that does not block. `at_end`: this is the last time. */
void access_log_report_lost(AccessLog *log, Runtime *rt, bool at_end);

#endif
