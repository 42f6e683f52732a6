#include "http_transfer.h"
#include <stdlib.h>
#include <strings.h>

#define CONNECT_TIMEOUT_MS 10000L
#define MAX_HEADERS (256 * 1024) /* bytes of one response's header section */
#define HIGH_WATER (64 * 1024)   /* bytes that wait in either direction before curl, or we, pause */
#define EXPECT_FROM (1024 * 1024) /* curl asks "100-continue" for bodies from this size */

/* --- waiting --- */

bool http_transfer_refused(const HttpTransfer *t) {
  return t->ended || (t->head && t->status >= 400); /* curl sends no more after such a status */
}

bool http_transfer_ready(const HttpTransfer *t, HttpWant want) {
  if (t->ended) return true;
  switch (want) {
  case HTTP_HEAD:
    return t->head;
  case HTTP_DATA:
    return t->body.len > 0;
  case HTTP_ROOM:
    return t->outgoing.len - t->sent < HIGH_WATER || http_transfer_refused(t);
  default:
    return false;
  }
}

/* Wakes the task that waits, if what it waits for is there. */
static void notify(HttpTransfer *t) {
  if (!t->waker.task || !http_transfer_ready(t, t->want)) return;
  Waker waker = t->waker;
  t->waker = (Waker){0};
  timer_clear(&t->rt->timers, &t->timer);
  ml_wait_wake(waker);
}

/* The time of a wait is over. It is not left to curl, whose clock does not run for a transfer that
   waits for a connection. */
static void on_timeout(Timer *timer) {
  HttpTransfer *t = container_of(timer, HttpTransfer, timer);
  snprintf(t->message, sizeof t->message, "%s within %g s",
           t->stream || t->upload ? "nothing came" : "not finished", t->timeout);
  http_transfer_end(t, CURLE_OPERATION_TIMEDOUT);
}

bool http_transfer_wait(HttpTransfer *t, HttpWant want, Waker waker) {
  uint64_t due = timer_due(runtime_now(t->rt), t->timeout);
  if (due != TIMER_NEVER && timer_set(&t->rt->timers, &t->timer, due, on_timeout)) return false;
  t->want = want;
  t->waker = waker;
  return true;
}

/* --- what curl calls --- */

static size_t on_body(char *bytes, size_t size, size_t n, void *data) {
  HttpTransfer *t = data;
  n *= size;
  if (t->stream && t->body.len >= HIGH_WATER) {
    t->body_paused = true;
    return CURL_WRITEFUNC_PAUSE; /* curl keeps the bytes, and stops reading the connection */
  }
  if (n > t->max_body - t->received)
    t->limit = HTTP_BODY_TOO_LARGE;
  else if (!buffer_add(&t->body, bytes, n))
    t->limit = HTTP_NO_MEMORY;
  if (t->limit) return 0;
  t->received += n;
  notify(t);
  return n;
}

/* The status line of a response; before it, there may have been interim ones (RFC 9110 15.2). */
static void begin_head(HttpTransfer *t, const char *line, size_t n) {
  const char *status = memchr(line, ' ', n);
  t->interim = status && line + n - status >= 4 && status[1] == '1' && memcmp(status, " 101", 4);
  t->headers.len = t->headers_size = 0;
  t->in_trailers = false;
}

static size_t on_header(char *line, size_t size, size_t n, void *data) {
  HttpTransfer *t = data;
  n *= size;
  if (!t->head && n >= 5 && !memcmp(line, "HTTP/", 5)) {
    begin_head(t, line, n);
    return n;
  }
  if (n && (*line == '\r' || *line == '\n')) {
    t->in_trailers = true;
    if (t->interim || t->head) return n;
    t->curl->easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &t->status);
    t->head = t->status >= 100; /* curl lets "HTTP/2 000" pass */
    notify(t);
    return n;
  }
  t->headers_size += n;
  if (t->headers_size > MAX_HEADERS)
    t->limit = HTTP_HEADERS_TOO_LARGE;
  else if (!t->in_trailers && !buffer_add(&t->headers, line, n))
    t->limit = HTTP_NO_MEMORY;
  return t->limit ? 0 : n;
}

/* Gives curl up to `n` bytes of the body of an upload. */
static size_t on_read(char *bytes, size_t size, size_t n, void *data) {
  HttpTransfer *t = data;
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

/* curl is about to send the request. It sends one again when a kept connection was closed before
   any of the response had come; but what the server may have done already is not done twice unless
   that is harmless (RFC 9110 9.2.2). */
static int on_request(void *data, char *ip, char *local_ip, int port, int local_port) {
  (void)ip, (void)local_ip, (void)port, (void)local_port;
  static const char *const idempotent[] = {"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"};
  HttpTransfer *t = data;
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

void http_transfer_end(HttpTransfer *t, CURLcode result) {
  HttpPool *pool = t->pool;
  t->curl->easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &t->status);
  t->curl->easy_getinfo(t->easy, CURLINFO_OS_ERRNO, &t->os_errno);
  if (result == CURLE_BAD_FUNCTION_ARGUMENT) { /* what curl says of a header it cannot parse */
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
  /* Its connection goes with it, also where that is HTTP/2 and has no other request: curl from 7.88
     to 8.14 keeps the reset of a stream until there is something else to send, so that the server
     would not hear of it (curl's issue 17611). */
  if (result != CURLE_OK) t->curl->easy_setopt(t->easy, CURLOPT_FORBID_REUSE, 1L);
  http_pool_remove(pool, t);
  t->curl->easy_cleanup(t->easy);
  t->easy = NULL;
  t->pool = NULL;
  timer_clear(&t->rt->timers, &t->timer);
  notify(t);
  http_pool_drive_later(pool); /* its place may be another's turn */
}

/* Goes on where one of the callbacks had curl pause. */
static void go_on(HttpTransfer *t) {
  t->curl->easy_pause(t->easy, (t->body_paused ? CURLPAUSE_RECV : 0) |
                                   (t->upload_paused ? CURLPAUSE_SEND : 0));
  if (t->pool) http_pool_drive_later(t->pool);
}

bool http_transfer_write(HttpTransfer *t, const char *bytes, size_t n) {
  if (t->ended) return true;
  if (t->sent) { /* what has been taken makes room */
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

void http_transfer_finish(HttpTransfer *t) {
  t->upload_over = true;
  if (t->ended || !t->upload_paused) return;
  t->upload_paused = false;
  go_on(t);
}

void http_transfer_taken(HttpTransfer *t) {
  t->body.len = 0;
  if (t->ended || !t->body_paused) return;
  t->body_paused = false;
  go_on(t);
}

void http_transfer_limit(HttpTransfer *t, size_t max_body, bool stream) {
  t->stream = stream;
  t->max_body = max_body;
  if (t->received > max_body) {
    t->limit = HTTP_BODY_TOO_LARGE;
    if (!t->ended) http_transfer_end(t, CURLE_WRITE_ERROR);
    t->result = CURLE_WRITE_ERROR;
  } else if (!stream && !t->ended && t->body_paused) {
    t->body_paused = false;
    go_on(t);
  }
}

/* --- life --- */

static void set_options(HttpTransfer *t, const HttpRequest *r) {
  const CurlLibrary *curl = t->curl;
  CURL *easy = t->easy;
  bool https = !strncasecmp(r->url, "https:", 6);
  http_pool_prepare(t->pool, easy, https);
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
  SET(QUICK_EXIT, 1L); /* an abort does not wait for the resolver's thread */
  SET(NOPROGRESS, 1L);
  SET(PROTOCOLS_STR, "http,https");
  SET(USERAGENT, "moonloop/" ML_VERSION);
  SET(ACCEPT_ENCODING, ""); /* all that curl can decode */
  SET(HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
  SET(CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
  SET(URL, r->url);
  SET(HTTPHEADER, t->request_headers);
  if (r->cookies) SET(COOKIE, r->cookies);
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
static bool add_header(HttpTransfer *t, const char *line) {
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

/* Takes away the headers curl adds on its own to a request with a body. */
static bool drop_headers(HttpTransfer *t, const HttpRequest *r) {
  if (!has_header(t->request_headers, "Content-Type") && !add_header(t, "Content-Type:")) {
    return false;
  }
  /* curl would wait a second for servers that do not know 100-continue. */
  return (!r->upload && r->body_len < EXPECT_FROM) || has_header(t->request_headers, "Expect") ||
         add_header(t, "Expect:");
}

/* curl's handles are not used again: after curl_easy_reset, curl 7.88 keeps a pointer to a header
   of the response before, and uses it when the next one begins with a folded line. */
HttpTransfer *http_transfer_start(HttpPool *pool, const HttpRequest *request) {
  const CurlLibrary *curl = pool->client->curl;
  HttpTransfer *t = calloc(1, sizeof *t);
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
  http_pool_add(pool, t);
  return t;

failed:
  if (t->easy) curl->easy_cleanup(t->easy);
  t->ended = true;
  http_transfer_free(t);
  return NULL;
}

void http_transfer_free(HttpTransfer *t) {
  t->waker = (Waker){0};
  if (!t->ended) http_transfer_end(t, CURLE_ABORTED_BY_CALLBACK);
  t->curl->slist_free_all(t->request_headers);
  buffer_free(&t->headers);
  buffer_free(&t->body);
  buffer_free(&t->outgoing);
  free(t);
}

const char *http_transfer_message(const HttpTransfer *t) {
  return t->message[0] ? t->message : t->curl->easy_strerror(t->result);
}
