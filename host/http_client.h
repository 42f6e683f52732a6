/* HTTP requests on libcurl's multi interface, driven by the loop.

   Everything here belongs to one runtime and its thread. Nothing enters Lua: when a transfer ends,
   its task is woken, and reads what is in the record. */
#ifndef ML_HTTP_CLIENT_H
#define ML_HTTP_CLIENT_H

#include "buffer.h"
#include "curl_library.h"
#include "runtime.h"
#include "task.h"

typedef struct HttpClient HttpClient;
typedef struct HttpPool HttpPool;

/* What is asked for. All memory but `headers` stays the caller's, and must live as long as the
   transfer runs. */
typedef struct HttpRequest {
  const char *method;         /* in capitals */
  const char *url;            /* http or https */
  struct curl_slist *headers; /* curl's lines ("Name: value", "Name;"); taken over */
  const char *body;           /* or NULL */
  size_t body_len;
  double timeout;  /* seconds for the whole transfer, redirects included; infinity: none */
  size_t max_body; /* bytes after decoding */
  bool follow;     /* redirects, ten at most */
  bool verify;     /* the server's certificate and name */
} HttpRequest;

/* One request and what came of it. The fields below `result` are for whoever asked, once it has
   been woken and until http_transfer_release. */
typedef struct HttpTransfer {
  CURL *easy;
  HttpPool *pool;
  Waker waker;
  Timer timer;
  double timeout;           /* seconds */
  const char *method, *url; /* of the request */
  struct curl_slist *request_headers;
  bool custom_method, in_trailers;
  size_t max_body, headers_size;

  CURLcode result;
  enum { HTTP_WITHIN_LIMITS, HTTP_BODY_TOO_LARGE, HTTP_HEADERS_TOO_LARGE, HTTP_NO_MEMORY } limit;
  long status;
  Buffer headers; /* the lines of the last response, as received, each with its line end */
  Buffer body;
  char message[CURL_ERROR_SIZE]; /* curl's words for `result`, or "" */
} HttpTransfer;

/* The client of a runtime: its pools are closed when the runtime closes. NULL when memory is out.
   Freed with http_client_free after that, when no pool is left. */
HttpClient *http_client_new(Runtime *rt, const CurlLibrary *curl);
void http_client_free(HttpClient *client);

/* A pool of connections that are kept alive, `max_connections` at most; further requests wait for
   one. NULL when memory is out. No transfer may run when it is freed. */
HttpPool *http_pool_new(HttpClient *client, long max_connections);
void http_pool_free(HttpPool *pool);
const CurlLibrary *http_pool_curl(HttpPool *pool);

/* Starts a transfer; it ends with ml_wait_wake(waker). NULL when memory is out (the headers are
   freed then, too). The caller ends it with one of the two below. */
HttpTransfer *http_transfer_start(HttpPool *pool, const HttpRequest *request, Waker waker);

/* Breaks a transfer off at once, with its connection, and releases it. Not for curl's callbacks. */
void http_transfer_abort(HttpTransfer *transfer);

/* Gives back a transfer that has ended. */
void http_transfer_release(HttpTransfer *transfer);

/* The URL of the response: that of the last redirect. Lives until the release. */
const char *http_transfer_url(HttpTransfer *transfer);

/* What went wrong, in curl's words. */
const char *http_transfer_message(HttpTransfer *transfer);

/* The kind of error ("dns", "network", "tls", "timeout", "http") that `result` is, and curl's name
   for it. */
const char *http_error_kind(CURLcode result);
const char *http_error_name(CURLcode result);

/* The system's name for what made the transfer fail ("ECONNREFUSED"), or curl's. */
const char *http_transfer_error_code(HttpTransfer *transfer);

#endif
