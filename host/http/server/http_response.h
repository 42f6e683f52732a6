/* Writes HTTP/1.1 responses into a buffer (RFC 9112). Every function returns false, with nothing
   written, if memory is out. */
#ifndef ML_HTTP_RESPONSE_H
#define ML_HTTP_RESPONSE_H

#include "base/buffer.h"
#include "base/clock.h"
#include <stdint.h>
#include <time.h>

/* The start of most responses, made once a second: the status line of a 200, and "Date: Mon, 23 Nov
   2026 06:12:16 GMT\r\n". */
enum { HTTP_OK_LINE = 17, HTTP_DATE_LINE = 37 };
typedef struct HttpDate {
  const Clock *clock; /* the server's, which specs can make virtual */
  time_t second;
  char lines[HTTP_OK_LINE + HTTP_DATE_LINE + 1];
} HttpDate;

/* How a response is framed and what happens to the connection. */
typedef struct HttpFraming {
  int status;
  bool head;           /* answers HEAD: the same headers without the body */
  bool close;          /* says that the connection will be closed */
  bool say_keep_alive; /* HTTP/1.0 has to be told */
  size_t sent;         /* bytes of the body, set by http_response_whole */
} HttpFraming;

/* The head of a response besides the status and the framing. */
typedef struct HttpHead {
  HttpDate *date;    /* for the Date header; NULL: it is among the lines */
  const char *lines; /* whole header lines, checked */
  size_t lines_len;
  const char *type; /* one more line, left out if there can be no body */
  size_t type_len;
} HttpHead;

/* "OK" for 200; "Unknown" for a status without a name. */
const char *http_response_reason(int status);

/* May a response with this status carry a body? */
static inline bool http_has_body(int status) {
  return status >= 200 && status != 204 && status != 304;
}

/* Is a body that there is sent? That of a 205 is empty: RFC 9110 section 15.3.6. */
static inline bool http_response_sends_body(const HttpFraming *framing) {
  return http_has_body(framing->status) && framing->status != 205 && !framing->head;
}

/* One header; name and value have been checked. */
bool http_response_header(Buffer *out, const char *name, size_t name_len, const char *value,
                          size_t value_len);

/* A response with its body. */
bool http_response_whole(Buffer *out, const HttpHead *head, HttpFraming *framing, const char *body,
                         size_t n);

/* The length of a streamed body in bytes, or one of these two. */
#define HTTP_LENGTH_MAX (UINT64_MAX / 2)
#define HTTP_LENGTH_CHUNKED (UINT64_MAX - 1) /* in chunks, RFC 9112 section 7.1 */
#define HTTP_LENGTH_UNTIL_CLOSE UINT64_MAX   /* ends when the connection is closed */

/* The head of a response whose body is streamed. */
bool http_response_streamed(Buffer *out, const HttpHead *head, const HttpFraming *framing,
                            uint64_t length);

/* A whole response {"detail": detail}; `detail` is plain ASCII without quotes. `headers` are whole
   lines, or "". */
bool http_response_detail(Buffer *out, HttpDate *date, HttpFraming *framing, const char *detail,
                          const char *headers);

#endif
