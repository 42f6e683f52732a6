#include "http/client/curl_transfer.h"

#include "http/client/client_limits.h"
#include "net/dial.h"

#include <stdlib.h>
#include <strings.h>

#define HIGH_WATER (64 * 1024)    /* unread bytes of a body in pieces above which curl pauses */
#define EXPECT_FROM (1024 * 1024) /* curl asks "100-continue" for bodies from this size */

/* --- waiting --- */

bool curl_transfer_refused(const CurlTransfer *t) {
  return t->ended || (t->head && t->status >= 400); /* curl sends no more after such a status */
}

bool curl_transfer_ready(const CurlTransfer *t, CurlWant want) {
  if (t->ended) return true;
  switch (want) {
  case CURL_WANTS_HEAD:
    return t->head;
  case CURL_WANTS_DATA:
    return t->body.len > 0;
  case CURL_WANTS_ROOM:
    return t->outgoing.len - t->sent < CLIENT_MAX_UNSENT || curl_transfer_refused(t);
  default:
    return false;
  }
}

/* Wakes the waiting task if what it waits for is there. */
static void notify(CurlTransfer *t) {
  if (!t->waker.task || !curl_transfer_ready(t, t->want)) return;
  Waker waker = t->waker;
  t->waker = (Waker){0};
  timer_clear(&t->rt->timers, &t->timer);
  ml_wait_wake(waker);
}

/* The time of a wait is over. This is not left to curl, whose clock does not run while a transfer
   waits for a connection. */
static void on_timeout(Timer *timer) {
  CurlTransfer *t = container_of(timer, CurlTransfer, timer);
  snprintf(t->message, sizeof t->message, "%s within %g s",
           t->stream || t->upload ? "nothing came" : "not finished", t->timeout);
  curl_transfer_end(t, CURLE_OPERATION_TIMEDOUT);
}

bool curl_transfer_wait(CurlTransfer *t, CurlWant want, Waker waker) {
  uint64_t due = timer_due(runtime_now(t->rt), t->timeout);
  if (due != TIMER_NEVER && timer_set(&t->rt->timers, &t->timer, due, on_timeout)) return false;
  t->want = want;
  t->waker = waker;
  return true;
}

/* --- what curl calls --- */

static size_t on_body(char *bytes, size_t size, size_t n, void *data) {
  CurlTransfer *t = data;
  n *= size;
  if (t->stream && t->body.len >= HIGH_WATER) {
    t->body_paused = true;
    return CURL_WRITEFUNC_PAUSE; /* curl keeps the bytes, and stops reading the connection */
  }
  if (n > t->max_body - t->received)
    t->limit = CURL_BODY_TOO_LARGE;
  else if (!buffer_add(&t->body, bytes, n))
    t->limit = CURL_NO_MEMORY;
  if (t->limit) return 0;
  t->received += n;
  notify(t);
  return n;
}

/* The status line of a response; before it, there may have been interim ones (RFC 9110 15.2). */
static void begin_head(CurlTransfer *t, const char *line, size_t n) {
  const char *status = memchr(line, ' ', n);
  t->interim = status && line + n - status >= 4 && status[1] == '1' && memcmp(status, " 101", 4);
  t->headers.len = t->headers_size = 0;
  t->in_trailers = false;
}

static size_t on_header(char *line, size_t size, size_t n, void *data) {
  CurlTransfer *t = data;
  n *= size;
  if (!t->head && n >= 5 && !memcmp(line, "HTTP/", 5)) {
    begin_head(t, line, n);
    return n;
  }
  if (n && (*line == '\r' || *line == '\n')) {
    t->in_trailers = true;
    if (t->interim || t->head) return n;
    t->curl->easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &t->status);
    t->head = t->status >= 100; /* curl accepts "HTTP/2 000" */
    notify(t);
    return n;
  }
  t->headers_size += n;
  if (t->headers_size > CLIENT_MAX_HEAD)
    t->limit = CURL_HEADERS_TOO_LARGE;
  else if (!t->in_trailers && !buffer_add(&t->headers, line, n))
    t->limit = CURL_NO_MEMORY;
  return t->limit ? 0 : n;
}

/* Gives curl up to `n` bytes of the body of an upload. */
static size_t on_read(char *bytes, size_t size, size_t n, void *data) {
  CurlTransfer *t = data;
  size_t left = t->outgoing.len - t->sent;
  n *= size;
  if (!left) {
    if (t->upload_over) return 0;
    t->upload_paused = true;
    return CURL_READFUNC_PAUSE;
  }
  if (n > left) n = left;
  memcpy(bytes, t->outgoing.data + t->sent, n);
  t->sent += n;
  if (t->sent == t->outgoing.len) t->sent = t->outgoing.len = 0;
  notify(t);
  return n;
}

/* curl is about to send the request. It sends one again if a kept connection was closed before any
   of the response came; but what the server may already have done must not be done twice unless
   that is harmless (RFC 9110 9.2.2). */
static int on_request(void *data, char *ip, char *local_ip, int port, int local_port) {
  (void)ip, (void)local_ip, (void)port, (void)local_port;
  static const char *const idempotent[] = {"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"};
  CurlTransfer *t = data;
  if (!t->asked) {
    t->asked = true;
    return CURL_PREREQFUNC_OK;
  }
  for (size_t i = 0; i < sizeof idempotent / sizeof *idempotent; i++) {
    if (!strcmp(t->method, idempotent[i])) return CURL_PREREQFUNC_OK;
  }
  return CURL_PREREQFUNC_ABORT;
}

/* --- the way through --- */

void curl_transfer_end(CurlTransfer *t, CURLcode result) {
  CurlPool *pool = t->pool;
  t->curl->easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &t->status);
  t->curl->easy_getinfo(t->easy, CURLINFO_OS_ERRNO, &t->os_errno);
  if (result == CURLE_BAD_FUNCTION_ARGUMENT) { /* curl's code for a header that it cannot parse */
    result = CURLE_WEIRD_SERVER_REPLY;
    snprintf(t->message, sizeof t->message, "malformed header in the response");
  } else if (result == CURLE_OK && t->status < 100) {
    result = CURLE_WEIRD_SERVER_REPLY;
    snprintf(t->message, sizeof t->message, "no status in the response");
  } else if (result == CURLE_ABORTED_BY_CALLBACK) {
    result = CURLE_GOT_NOTHING;
    snprintf(t->message, sizeof t->message, "the connection was closed before a response came");
  }
  t->result = result;
  t->ended = true;
  /* Its connection is closed with it, even if that is HTTP/2 without other requests: curl from 7.88
     to 8.14 holds back the reset of a stream until there is something else to send, so the server
     would not learn of it (curl's issue 17611). */
  if (result != CURLE_OK) t->curl->easy_setopt(t->easy, CURLOPT_FORBID_REUSE, 1L);
  curl_pool_remove(pool, t);
  t->curl->easy_cleanup(t->easy);
  t->easy = NULL;
  t->pool = NULL;
  timer_clear(&t->rt->timers, &t->timer);
  notify(t);
  curl_pool_drive_later(pool); /* its place may be free for another transfer */
}

/* Continues where one of the callbacks made curl pause. */
static void go_on(CurlTransfer *t) {
  t->curl->easy_pause(t->easy, (t->body_paused ? CURLPAUSE_RECV : 0) |
                                   (t->upload_paused ? CURLPAUSE_SEND : 0));
  if (t->pool) curl_pool_drive_later(t->pool);
}

bool curl_transfer_write(CurlTransfer *t, const char *bytes, size_t n) {
  if (t->ended) return true;
  if (t->sent) { /* makes room by dropping what was taken */
    memmove(t->outgoing.data, t->outgoing.data + t->sent, t->outgoing.len - t->sent);
    t->outgoing.len -= t->sent;
    t->sent = 0;
  }
  if (!buffer_add(&t->outgoing, bytes, n)) return false;
  if (t->upload_paused) {
    t->upload_paused = false;
    go_on(t);
  }
  return true;
}

void curl_transfer_finish(CurlTransfer *t) {
  t->upload_over = true;
  if (t->ended || !t->upload_paused) return;
  t->upload_paused = false;
  go_on(t);
}

void curl_transfer_taken(CurlTransfer *t) {
  t->body.len = 0;
  if (t->ended || !t->body_paused) return;
  t->body_paused = false;
  go_on(t);
}

void curl_transfer_limit(CurlTransfer *t, size_t max_body, bool stream) {
  t->stream = stream;
  t->max_body = max_body;
  if (t->received > max_body) {
    t->limit = CURL_BODY_TOO_LARGE;
    if (!t->ended) curl_transfer_end(t, CURLE_WRITE_ERROR);
    t->result = CURLE_WRITE_ERROR;
  } else if (!stream && !t->ended && t->body_paused) {
    t->body_paused = false;
    go_on(t);
  }
}

/* --- life --- */

static void set_options(CurlTransfer *t, const CurlRequest *r) {
  const CurlLibrary *curl = t->curl;
  CURL *easy = t->easy;
  bool https = !strncasecmp(r->url, "https:", 6);
  curl_pool_prepare(t->pool, easy, https);
#define SET(option, value) curl->easy_setopt(easy, CURLOPT_##option, value)
  SET(PRIVATE, t);
  SET(ERRORBUFFER, t->message);
  SET(WRITEFUNCTION, on_body);
  SET(WRITEDATA, t);
  SET(HEADERFUNCTION, on_header);
  SET(HEADERDATA, t);
  SET(PREREQFUNCTION, on_request);
  SET(PREREQDATA, t);
  SET(SUPPRESS_CONNECT_HEADERS, 1L); /* the proxy's */
  SET(NOSIGNAL, 1L);
  SET(QUICK_EXIT, 1L); /* aborting does not wait for the resolver's thread */
  SET(NOPROGRESS, 1L);
  SET(PROTOCOLS_STR, "http,https");
  SET(USERAGENT, "moonloop/" ML_VERSION);
  SET(ACCEPT_ENCODING, ""); /* all that curl can decode */
  SET(HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
  SET(CONNECTTIMEOUT, (long)DIAL_SECONDS);
  SET(URL, r->url);
  SET(HTTPHEADER, t->request_headers);
  if (r->unix_path) SET(UNIX_SOCKET_PATH, r->unix_path);
  if (!r->verify) {
    SET(SSL_VERIFYPEER, 0L);
    SET(SSL_VERIFYHOST, 0L);
  }
  /* One connection for all requests to an HTTP/2 host. Over plain HTTP, which is never HTTP/2 here,
     it would make requests wait for the first response. */
  if (https) SET(PIPEWAIT, 1L);

  if (r->upload) {
    SET(UPLOAD, 1L);
    SET(READFUNCTION, on_read);
    SET(READDATA, t);
    SET(INFILESIZE_LARGE, r->length);
    SET(CUSTOMREQUEST, r->method);
    return;
  }
  bool post = !strcmp(r->method, "POST");
  bool sends = post || !strcmp(r->method, "PUT") || !strcmp(r->method, "PATCH");
  if (!strcmp(r->method, "HEAD")) {
    SET(NOBODY, 1L);
    return;
  }
  if (r->body || sends) {
    SET(POST, 1L);
    SET(POSTFIELDSIZE_LARGE, (curl_off_t)r->body_len);
    SET(POSTFIELDS, r->body ? r->body : "");
  }
  if (!post && (r->body || strcmp(r->method, "GET"))) SET(CUSTOMREQUEST, r->method);
#undef SET
}

/* Adds a line to the transfer's request headers; false when memory is out. */
static bool add_header(CurlTransfer *t, const char *line) {
  struct curl_slist *list = t->curl->slist_append(t->request_headers, line);
  if (list) t->request_headers = list;
  return list;
}

static bool has_header(const struct curl_slist *list, const char *name) {
  size_t n = strlen(name);
  for (; list; list = list->next) {
    if (!strncasecmp(list->data, name, n) && (list->data[n] == ':' || list->data[n] == ';')) {
      return true;
    }
  }
  return false;
}

/* Removes the headers that curl adds to a request with a body. */
static bool drop_headers(CurlTransfer *t, const CurlRequest *r) {
  if (!has_header(t->request_headers, "Content-Type") && !add_header(t, "Content-Type:")) {
    return false;
  }
  /* curl would wait a second for servers that do not know 100-continue. */
  return (!r->upload && r->body_len < EXPECT_FROM) || has_header(t->request_headers, "Expect") ||
         add_header(t, "Expect:");
}

/* curl's handles are not reused: after curl_easy_reset, curl 7.88 keeps a pointer to a header of
   the previous response, and uses it if the next one begins with a folded line. */
CurlTransfer *curl_transfer_start(CurlPool *pool, const CurlRequest *request) {
  const CurlLibrary *curl = pool->client->curl;
  CurlTransfer *t = calloc(1, sizeof *t);
  if (!t) {
    curl->slist_free_all(request->headers);
    return NULL;
  }
  t->curl = curl;
  t->rt = pool->client->rt;
  t->pool = pool;
  t->request_headers = request->headers;
  t->max_body = request->max_body;
  t->timeout = request->timeout;
  t->method = request->method;
  t->url = request->url;
  t->upload = request->upload;
  t->stream = request->stream;
  t->easy = curl->easy_init();
  if (!t->easy || !drop_headers(t, request)) goto failed;
  set_options(t, request);
  curl_pool_add(pool, t);
  return t;

failed:
  if (t->easy) curl->easy_cleanup(t->easy);
  t->ended = true;
  curl_transfer_free(t);
  return NULL;
}

void curl_transfer_free(CurlTransfer *t) {
  t->waker = (Waker){0};
  if (!t->ended) curl_transfer_end(t, CURLE_ABORTED_BY_CALLBACK);
  t->curl->slist_free_all(t->request_headers);
  buffer_free(&t->headers);
  buffer_free(&t->body);
  buffer_free(&t->outgoing);
  free(t);
}

const char *curl_transfer_message(const CurlTransfer *t) {
  return t->message[0] ? t->message : t->curl->easy_strerror(t->result);
}
