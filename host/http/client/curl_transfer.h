/* Exchanges of the libcurl engine: one request and its response, whole or in pieces.

   A transfer belongs to its starter until curl_transfer_free. curl's callbacks only move bytes
   between it and two bounded buffers, and wake the task that waits for them; curl is never called
   from its callbacks. */
#ifndef ML_CURL_TRANSFER_H
#define ML_CURL_TRANSFER_H

#include "base/buffer.h"
#include "core/task.h"
#include "http/client/curl_pool.h"

/* The request. All memory except `headers` stays the caller's, and must live as long as the
   transfer. */
typedef struct CurlRequest {
  const char *method;         /* in capitals */
  const char *url;            /* http or https, without user and password */
  struct curl_slist *headers; /* curl's lines ("Name: value", "Name;"); taken over */
  const char *body;           /* or NULL */
  size_t body_len;
  bool upload;           /* the body comes in pieces, by curl_transfer_write */
  curl_off_t length;     /* bytes of such a body; -1: unknown, it is sent in chunks */
  bool stream;           /* the response's body is read in pieces */
  double timeout;        /* seconds, see curl_transfer_wait; infinity: no limit */
  size_t max_body;       /* bytes after decoding */
  bool verify;           /* check the server's certificate and name */
  const char *unix_path; /* the socket to connect to, or NULL: the URL's host */
} CurlRequest;

/* What a task waits for; the end of the transfer ends every wait. */
typedef enum CurlWant {
  CURL_WANTS_END,
  CURL_WANTS_HEAD,
  CURL_WANTS_DATA,
  CURL_WANTS_ROOM
} CurlWant;

/* The fields below `result` are for the task that waited, after it was woken. */
struct CurlTransfer {
  CurlPool *pool;             /* NULL once it has ended */
  CurlTransfer *next, **link; /* in one of the pool's two lists */
  bool running;               /* in the list of those that curl is working on */
  const CurlLibrary *curl;
  CURL *easy;
  Runtime *rt;
  Waker waker; /* for the task that waits for `want` */
  CurlWant want;
  Timer timer;
  double timeout;           /* seconds */
  const char *method, *url; /* of the request */
  struct curl_slist *request_headers;
  size_t max_body, received, headers_size;
  Buffer outgoing; /* for an upload: what curl has not taken yet begins at `sent` */
  size_t sent;
  bool upload, stream;
  bool interim, in_trailers;       /* the head that is being read; after the body */
  bool asked;                      /* the request has been sent */
  bool body_paused, upload_paused; /* curl is paused */
  bool upload_over;                /* all of the body has been written */

  CURLcode result;
  enum { CURL_WITHIN_LIMITS, CURL_BODY_TOO_LARGE, CURL_HEADERS_TOO_LARGE, CURL_NO_MEMORY } limit;
  long status, os_errno;
  bool head;      /* status and headers are there */
  bool ended;     /* nothing more will come; `result` says how it went */
  Buffer headers; /* the lines of the response, as received, each with its line end */
  Buffer body;    /* received bytes of the body that were not taken */
  char message[CURL_ERROR_SIZE]; /* curl's message for `result`, or "" */
};

/* Starts a transfer. NULL when memory is out (the headers are freed then, too). */
CurlTransfer *curl_transfer_start(CurlPool *pool, const CurlRequest *request);

/* Wakes `waker` when what is wanted is there, the transfer has ended, or its timeout has passed,
   counted from now (which ends it). False if memory is out. Call only if curl_transfer_ready is
   false. */
bool curl_transfer_wait(CurlTransfer *transfer, CurlWant want, Waker waker);

/* Is what is wanted there, or has the transfer ended? */
bool curl_transfer_ready(const CurlTransfer *transfer, CurlWant want);

/* Adds to the body of an upload; the bytes are copied. False when memory is out. */
bool curl_transfer_write(CurlTransfer *transfer, const char *bytes, size_t n);

/* The body of an upload is complete. */
void curl_transfer_finish(CurlTransfer *transfer);

/* Is the rest of an upload's body not wanted, since the transfer has ended or the server has
   refused? */
bool curl_transfer_refused(const CurlTransfer *transfer);

/* Sets for an upload how its response is read, and how many bytes of the decoded body are
   accepted. */
void curl_transfer_limit(CurlTransfer *transfer, size_t max_body, bool stream);

/* The bytes in `body` have been taken: more may come. */
void curl_transfer_taken(CurlTransfer *transfer);

/* Frees a transfer; one that has not ended is cancelled at once, with its connection. */
void curl_transfer_free(CurlTransfer *transfer);

/* Removes the transfer from curl, with its connection if it was not over. For the pool. */
void curl_transfer_end(CurlTransfer *transfer, CURLcode result);

/* The error in curl's words. */
const char *curl_transfer_message(const CurlTransfer *transfer);

/* The kind of error ("dns", "network", "tls", "timeout", "http") of a transfer that failed, and the
   system's name for it ("ECONNREFUSED"), or curl's. */
const char *curl_transfer_error_kind(const CurlTransfer *transfer);
const char *curl_transfer_error_code(const CurlTransfer *transfer);

#endif
