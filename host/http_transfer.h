/* Exchanges of the libcurl engine: one request and its response, whole or in pieces.

   A transfer belongs to whoever started it, until http_transfer_free. curl's callbacks
   only move bytes between it and two bounded buffers, and wake the task that waits for them; curl
   is never called from its callbacks. */
#ifndef ML_HTTP_TRANSFER_H
#define ML_HTTP_TRANSFER_H

#include "buffer.h"
#include "http_client.h"
#include "task.h"

/* What is asked for. All memory but `headers` stays the caller's, and must live as long as the
   transfer. */
typedef struct HttpRequest {
  const char *method;         /* in capitals */
  const char *url;            /* http or https, without user and password */
  struct curl_slist *headers; /* curl's lines ("Name: value", "Name;"); taken over */
  const char *cookies;        /* the Cookie header for a pool that keeps cookies, or NULL */
  const char *body;           /* or NULL */
  size_t body_len;
  bool upload;           /* the body comes in pieces, by http_transfer_write */
  curl_off_t length;     /* of such a body, bytes; -1: unknown, it is sent in chunks */
  bool stream;           /* the response's body is read in pieces */
  double timeout;        /* seconds: http_transfer_wait; infinity: none */
  size_t max_body;       /* bytes after decoding */
  bool verify;           /* the server's certificate and name */
  const char *unix_path; /* the socket to connect to, or NULL: the URL's host */
} HttpRequest;

/* What a task waits for; the end of the transfer ends every wait. */
typedef enum HttpWant { HTTP_END, HTTP_HEAD, HTTP_DATA, HTTP_ROOM } HttpWant;

/* The fields below `result` are for whoever asked, when it has been woken. */
struct HttpTransfer {
  HttpPool *pool;             /* NULL once it has ended */
  HttpTransfer *next, **link; /* in one of the pool's two lists */
  bool running;               /* in that of those curl works on */
  const CurlLibrary *curl;
  CURL *easy;
  Runtime *rt;
  Waker waker; /* of the task that waits, for `want` */
  HttpWant want;
  Timer timer;
  double timeout;           /* seconds */
  const char *method, *url; /* of the request */
  struct curl_slist *request_headers;
  size_t max_body, received, headers_size;
  Buffer outgoing; /* of an upload: what curl has not taken yet begins at `sent` */
  size_t sent;
  bool upload, stream;
  bool interim, in_trailers;       /* the head that is being read; after the body */
  bool asked;                      /* a request has been sent for it */
  bool body_paused, upload_paused; /* curl waits for us */
  bool upload_over;                /* all of the body has been written */

  CURLcode result;
  enum { HTTP_WITHIN_LIMITS, HTTP_BODY_TOO_LARGE, HTTP_HEADERS_TOO_LARGE, HTTP_NO_MEMORY } limit;
  long status, os_errno;
  bool head;      /* status and headers are there */
  bool ended;     /* nothing more will come; `result` says how it went */
  Buffer headers; /* the lines of the response, as received, each with its line end */
  Buffer body;    /* what has come of the body and was not taken */
  char message[CURL_ERROR_SIZE]; /* curl's words for `result`, or "" */
};

/* Starts a transfer. NULL when memory is out (the headers are freed then, too). */
HttpTransfer *http_transfer_start(HttpPool *pool, const HttpRequest *request);

/* Wakes `waker` when what is wanted is there, the transfer has ended, or its timeout has passed
   since now (which ends it). False when memory is out. Only where http_transfer_ready is false. */
bool http_transfer_wait(HttpTransfer *transfer, HttpWant want, Waker waker);

/* Is what is wanted there, or has the transfer ended? */
bool http_transfer_ready(const HttpTransfer *transfer, HttpWant want);

/* Adds to the body of an upload; the bytes are copied. False when memory is out. */
bool http_transfer_write(HttpTransfer *transfer, const char *bytes, size_t n);

/* The body of an upload is complete. */
void http_transfer_finish(HttpTransfer *transfer);

/* Nothing more of an upload's body is wanted: the transfer has ended, or the server has refused. */
bool http_transfer_refused(const HttpTransfer *transfer);

/* Says of an upload how its response is read, and how many bytes of the decoded body are accepted.
 */
void http_transfer_limit(HttpTransfer *transfer, size_t max_body, bool stream);

/* The bytes in `body` have been taken: more may come. */
void http_transfer_taken(HttpTransfer *transfer);

/* Frees a transfer; one that has not ended is broken off at once, with its connection. */
void http_transfer_free(HttpTransfer *transfer);

/* Takes the transfer away from curl, with its connection where it was not over. For the pool. */
void http_transfer_end(HttpTransfer *transfer, CURLcode result);

/* What went wrong, in curl's words. */
const char *http_transfer_message(const HttpTransfer *transfer);

/* The kind of error ("dns", "network", "tls", "timeout", "http") of a transfer that failed, and the
   system's name for it ("ECONNREFUSED"), or curl's. */
const char *http_transfer_error_kind(const HttpTransfer *transfer);
const char *http_transfer_error_code(const HttpTransfer *transfer);

#endif
