#include "http_client.h"
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECT_TIMEOUT_MS 10000L
#define MAX_REDIRECTS 10L
#define MAX_HEADERS (256 * 1024)  /* bytes of one response's header section */
#define EXPECT_FROM (1024 * 1024) /* curl asks "100-continue" for bodies from this size */
#define MAX_ROUNDS 8              /* of curl's "call me at once" before the loop has its turn */

struct HttpClient {
  CloseHook close_hook;
  PassHook pass_hook;
  Runtime *rt;
  const CurlLibrary *curl;
  HttpPool *pools;
};

/* A descriptor that curl has asked to watch. Once it is a connection, it is watched as long as it
   is open: idle, it does not keep the loop alive, and the next request on it needs no system call.
 */
typedef struct HttpSocket {
  uv_poll_t poll;
  HttpPool *pool;
  int fd;
  int wanted; /* events curl waits for; 0: idle */
  int armed;  /* events libuv waits for */
  /* curl (7.88) calls on_close_socket for sockets that have been connected, and waits to read from
     those alone; it closes others without a word and asks to remove them later. */
  bool internet, connected;
} HttpSocket;

struct HttpPool {
  HttpClient *client;
  HttpPool *next, **link;
  CURLM *multi;
  Timer timer;
  uint64_t wanted_timer; /* when curl wants to be called: nanoseconds, or TIMER_NEVER */
  uint64_t set_timer;    /* what `timer` is set to */
  bool due;              /* curl wants to be called at once */
  bool started;          /* transfers were added in this pass */
  HttpSocket **sockets;  /* by descriptor */
  int socket_slots;
  size_t running;
};

/* --- sockets --- */

static void on_poll_closed(uv_handle_t *handle) { free(handle); }

static HttpSocket *socket_at(HttpPool *pool, curl_socket_t fd) {
  return fd < pool->socket_slots ? pool->sockets[fd] : NULL;
}

static void on_poll(uv_poll_t *poll, int status, int events);

/* Puts `fd` into the loop. NULL when memory or the kernel's room for it is out. */
static HttpSocket *socket_add(HttpPool *pool, int fd) {
  if (fd >= pool->socket_slots) {
    int slots = fd + 16;
    HttpSocket **sockets = realloc(pool->sockets, (size_t)slots * sizeof *sockets);
    if (!sockets) return NULL;
    memset(sockets + pool->socket_slots, 0, (size_t)(slots - pool->socket_slots) * sizeof *sockets);
    pool->sockets = sockets;
    pool->socket_slots = slots;
  }
  HttpSocket *s = calloc(1, sizeof *s);
  if (!s) return NULL;
  if (uv_poll_init_socket(&pool->client->rt->loop, &s->poll, fd)) {
    free(s);
    return NULL;
  }
  s->pool = pool;
  s->fd = fd;
  int domain = AF_UNIX; /* the pair through which the resolver's thread reports */
  getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &(socklen_t){sizeof domain});
  s->internet = domain != AF_UNIX;
  pool->sockets[fd] = s;
  return s;
}

static void socket_remove(HttpPool *pool, HttpSocket *s) {
  pool->sockets[s->fd] = NULL;
  uv_close((uv_handle_t *)&s->poll, on_poll_closed);
}

static void socket_watch(HttpSocket *s, int events) {
  s->wanted = events;
  if (!events) {
    uv_unref((uv_handle_t *)&s->poll);
    return;
  }
  uv_ref((uv_handle_t *)&s->poll);
  if (s->armed == events) return;
  s->armed = uv_poll_start(&s->poll, events, on_poll) ? 0 : events;
}

/* curl: wait for `what` on `fd`. */
static int on_socket(CURL *easy, curl_socket_t fd, int what, void *data, void *socket_data) {
  (void)easy;
  (void)socket_data;
  HttpPool *pool = data;
  HttpSocket *s = socket_at(pool, fd);
  if (what == CURL_POLL_REMOVE) {
    if (!s) return 0;
    if (s->connected)
      socket_watch(s, 0);
    else
      socket_remove(pool, s);
    return 0;
  }
  if (!s && !(s = socket_add(pool, fd))) return -1;
  if (what & CURL_POLL_IN) s->connected = s->internet;
  socket_watch(s,
               (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0));
  return 0;
}

static curl_socket_t on_open_socket(void *data, curlsocktype purpose,
                                    struct curl_sockaddr *address) {
  (void)purpose;
  int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
  if (fd < 0) return CURL_SOCKET_BAD;
  /* curl has closed a socket of this number and thinks that the new one is watched in its place. */
  HttpSocket *s = socket_at(data, fd);
  if (s) {
    s->armed = 0;
    s->connected = false;
    socket_watch(s, s->wanted);
  }
  return fd;
}

static int on_close_socket(void *data, curl_socket_t fd) {
  HttpSocket *s = socket_at(data, fd);
  if (s) socket_remove(data, s); /* before the descriptor can be another's */
  return close(fd);
}

/* --- transfers, as curl tells of them --- */

static size_t on_body(char *bytes, size_t size, size_t n, void *data) {
  HttpTransfer *t = data;
  n *= size;
  if (n > t->max_body - t->body.len)
    t->limit = HTTP_BODY_TOO_LARGE;
  else if (!buffer_add(&t->body, bytes, n))
    t->limit = HTTP_NO_MEMORY;
  return t->limit ? 0 : n;
}

static size_t on_header(char *line, size_t size, size_t n, void *data) {
  HttpTransfer *t = data;
  n *= size;
  if (n >= 5 && !memcmp(line, "HTTP/", 5)) { /* of the last response there will be */
    t->headers.len = t->headers_size = 0;
    t->in_trailers = false;
    /* RFC 9110 15.4.4: 303 is answered with a GET. curl keeps a method it was told by name, which
       would repeat a DELETE on the page that reports it. */
    const char *status = memchr(line, ' ', n);
    if (t->custom_method && status && line + n - status >= 4 && !memcmp(status, " 303", 4)) {
      t->pool->client->curl->easy_setopt(t->easy, CURLOPT_CUSTOMREQUEST, NULL);
    }
    return n;
  }
  if (n && (*line == '\r' || *line == '\n')) {
    t->in_trailers = true;
    return n;
  }
  t->headers_size += n;
  if (t->headers_size > MAX_HEADERS)
    t->limit = HTTP_HEADERS_TOO_LARGE;
  else if (!t->in_trailers && !buffer_add(&t->headers, line, n))
    t->limit = HTTP_NO_MEMORY;
  return t->limit ? 0 : n;
}

/* Takes the transfer away from curl, with its connection where it is not over. */
static void transfer_remove(HttpTransfer *t) {
  HttpPool *pool = t->pool;
  timer_clear(&pool->client->rt->timers, &t->timer);
  pool->client->curl->multi_remove_handle(pool->multi, t->easy);
  pool->running--;
}

static void transfer_end(HttpTransfer *t, CURLcode result) {
  t->pool->client->curl->easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &t->status);
  if (result == CURLE_BAD_FUNCTION_ARGUMENT) { /* what curl says of a header it cannot parse */
    result = CURLE_WEIRD_SERVER_REPLY;
    snprintf(t->message, sizeof t->message, "malformed header in the response");
  } else if (result == CURLE_OK && t->status < 100) { /* curl lets "HTTP/2 000" pass */
    result = CURLE_WEIRD_SERVER_REPLY;
    snprintf(t->message, sizeof t->message, "no status in the response");
  }
  t->result = result;
  transfer_remove(t);
  ml_wait_wake(t->waker);
}

/* --- driving curl --- */

static void on_timer(Timer *timer);

static void pool_set_timer(HttpPool *pool) {
  TimerHeap *timers = &pool->client->rt->timers;
  uint64_t due = pool->due ? runtime_now(pool->client->rt) : pool->wanted_timer;
  if (due == pool->set_timer) return;
  pool->set_timer = due;
  if (due == TIMER_NEVER)
    timer_clear(timers, &pool->timer);
  else
    timer_set(timers, &pool->timer, due, on_timer);
}

/* Tells curl that `fd` has `flags`, and goes on until it wants to wait. Tasks whose transfers have
   ended are woken. Never called from curl's callbacks: curl is not re-entrant. */
static void pool_drive(HttpPool *pool, curl_socket_t fd, int flags) {
  const CurlLibrary *curl = pool->client->curl;
  int running;
  for (int round = 0; round < MAX_ROUNDS; round++) {
    pool->due = false;
    if (fd == CURL_SOCKET_TIMEOUT) pool->wanted_timer = TIMER_NEVER; /* curl says it anew */
    curl->multi_socket_action(pool->multi, fd, flags, &running);
    int left;
    CURLMsg *message;
    while ((message = curl->multi_info_read(pool->multi, &left))) {
      if (message->msg != CURLMSG_DONE) continue;
      CURLcode result = message->data.result;
      HttpTransfer *t;
      curl->easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &t);
      transfer_end(t, result);
    }
    if (!pool->due) break;
    fd = CURL_SOCKET_TIMEOUT;
    flags = 0;
  }
  pool_set_timer(pool);
}

/* curl: call me in `ms`. What it says during pool_drive takes effect at its end. */
static int on_curl_timer(CURLM *multi, long ms, void *data) {
  (void)multi;
  HttpPool *pool = data;
  pool->due = ms == 0;
  pool->wanted_timer =
      ms < 0 ? TIMER_NEVER : runtime_now(pool->client->rt) + (uint64_t)ms * 1000000;
  return 0;
}

static void on_timer(Timer *timer) {
  HttpPool *pool = container_of(timer, HttpPool, timer);
  pool->set_timer = TIMER_NEVER;
  pool_drive(pool, CURL_SOCKET_TIMEOUT, 0);
}

static void on_poll(uv_poll_t *poll, int status, int events) {
  HttpSocket *s = (HttpSocket *)poll;
  HttpPool *pool = s->pool;
  int fd = s->fd;
  if (status < 0) s->armed = 0; /* libuv stops watching after an error */
  if (!s->wanted) {             /* the server closed an idle connection; curl sees it on reuse */
    uv_poll_stop(poll);
    s->armed = 0;
    return;
  }
  /* After an error curl is to look itself: flags of 0. */
  pool_drive(pool, fd,
             status < 0 ? 0
                        : (events & UV_READABLE ? CURL_CSELECT_IN : 0) |
                              (events & UV_WRITABLE ? CURL_CSELECT_OUT : 0));
  if (status < 0 && socket_at(pool, fd) == s && s->wanted) socket_watch(s, s->wanted);
}

/* curl is to be called at the end of this pass. */
static void pool_drive_later(HttpPool *pool) {
  pool->started = true;
  runtime_at_pass_end(pool->client->rt, &pool->client->pass_hook);
}

/* The whole time of a request is over. It is not left to curl, whose clock does not run for a
   transfer that waits for a connection. */
static void on_timeout(Timer *timer) {
  HttpTransfer *t = container_of(timer, HttpTransfer, timer);
  HttpPool *pool = t->pool;
  snprintf(t->message, sizeof t->message, "not finished within %g s", t->timeout);
  transfer_end(t, CURLE_OPERATION_TIMEDOUT);
  pool_drive_later(pool); /* its place may be another's turn */
}

/* At the end of a pass, the requests that its tasks started are sent together. */
static void on_pass_end(PassHook *hook, Runtime *rt) {
  (void)rt;
  HttpClient *client = container_of(hook, HttpClient, pass_hook);
  for (HttpPool *pool = client->pools; pool; pool = pool->next) {
    if (!pool->started) continue;
    pool->started = false;
    pool_drive(pool, CURL_SOCKET_TIMEOUT, 0);
  }
}

/* --- life of clients and pools --- */

static void pool_close(HttpPool *pool) {
  if (!pool->multi) return;
  assert(pool->running == 0); /* a task that waits keeps its pool; tasks end before the hooks */
  pool->client->curl->multi_cleanup(pool->multi);
  pool->multi = NULL;
  for (int fd = 0; fd < pool->socket_slots; fd++) {
    if (pool->sockets[fd]) socket_remove(pool, pool->sockets[fd]);
  }
  timer_clear(&pool->client->rt->timers, &pool->timer);
  *pool->link = pool->next;
  if (pool->next) pool->next->link = pool->link;
}

static void on_runtime_close(CloseHook *hook, Runtime *rt) {
  (void)rt;
  HttpClient *client = (HttpClient *)hook;
  while (client->pools) pool_close(client->pools);
}

HttpClient *http_client_new(Runtime *rt, const CurlLibrary *curl) {
  HttpClient *client = calloc(1, sizeof *client);
  if (!client) return NULL;
  client->rt = rt;
  client->curl = curl;
  client->pass_hook.run = on_pass_end;
  client->close_hook.close = on_runtime_close;
  ml_runtime_on_close(rt, &client->close_hook);
  return client;
}

void http_client_free(HttpClient *client) { free(client); }

HttpPool *http_pool_new(HttpClient *client, long max_connections) {
  const CurlLibrary *curl = client->curl;
  HttpPool *pool = calloc(1, sizeof *pool);
  if (!pool) return NULL;
  pool->multi = curl->multi_init();
  if (!pool->multi) {
    free(pool);
    return NULL;
  }
  pool->client = client;
  pool->wanted_timer = pool->set_timer = TIMER_NEVER;
  curl->multi_setopt(pool->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
  curl->multi_setopt(pool->multi, CURLMOPT_SOCKETDATA, pool);
  curl->multi_setopt(pool->multi, CURLMOPT_TIMERFUNCTION, on_curl_timer);
  curl->multi_setopt(pool->multi, CURLMOPT_TIMERDATA, pool);
  curl->multi_setopt(pool->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, max_connections);
  curl->multi_setopt(pool->multi, CURLMOPT_MAXCONNECTS, max_connections);
  pool->link = &client->pools;
  pool->next = client->pools;
  if (pool->next) pool->next->link = &pool->next;
  client->pools = pool;
  return pool;
}

void http_pool_free(HttpPool *pool) {
  pool_close(pool);
  free(pool->sockets);
  free(pool);
}

const CurlLibrary *http_pool_curl(HttpPool *pool) { return pool->client->curl; }

/* --- transfers --- */

static void set_options(HttpTransfer *t, const HttpRequest *r) {
  const CurlLibrary *curl = t->pool->client->curl;
  CURL *easy = t->easy;
#define SET(option, value) curl->easy_setopt(easy, CURLOPT_##option, value)
  SET(PRIVATE, t);
  SET(ERRORBUFFER, t->message);
  SET(WRITEFUNCTION, on_body);
  SET(WRITEDATA, t);
  SET(HEADERFUNCTION, on_header);
  SET(HEADERDATA, t);
  SET(OPENSOCKETFUNCTION, on_open_socket);
  SET(OPENSOCKETDATA, t->pool);
  SET(CLOSESOCKETFUNCTION, on_close_socket);
  SET(CLOSESOCKETDATA, t->pool);
  SET(NOSIGNAL, 1L);
  SET(QUICK_EXIT, 1L); /* an abort does not wait for the resolver's thread */
  SET(NOPROGRESS, 1L);
  SET(PROTOCOLS_STR, "http,https");
  SET(REDIR_PROTOCOLS_STR, "http,https");
  SET(USERAGENT, "moonloop/" ML_VERSION);
  SET(ACCEPT_ENCODING, ""); /* all that curl can decode */
  SET(HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
  SET(CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
  SET(URL, r->url);
  SET(HTTPHEADER, t->request_headers);
  if (r->follow) {
    SET(FOLLOWLOCATION, 1L);
    SET(MAXREDIRS, MAX_REDIRECTS);
  }
  if (!r->verify) {
    SET(SSL_VERIFYPEER, 0L);
    SET(SSL_VERIFYHOST, 0L);
  }
  /* One connection for all requests to an HTTP/2 host. Over plain HTTP, which is never HTTP/2 here,
     it would make requests wait for the first response. */
  if (!strncasecmp(r->url, "https:", 6)) SET(PIPEWAIT, 1L);

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
  t->custom_method = !post && (r->body || strcmp(r->method, "GET"));
  if (t->custom_method) SET(CUSTOMREQUEST, r->method);
#undef SET
}

/* Adds a line to the transfer's request headers; false when memory is out. */
static bool add_header(HttpTransfer *t, const char *line) {
  struct curl_slist *list = t->pool->client->curl->slist_append(t->request_headers, line);
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
  return r->body_len < EXPECT_FROM || has_header(t->request_headers, "Expect") ||
         add_header(t, "Expect:");
}

/* curl's handles are not used again: after curl_easy_reset, curl 7.88 keeps a pointer to a header
   of the response before, and uses it when the next one begins with a folded line. */
static HttpTransfer *transfer_new(HttpClient *client) {
  HttpTransfer *t = calloc(1, sizeof *t);
  if (!t) return NULL;
  t->easy = client->curl->easy_init();
  if (t->easy) return t;
  free(t);
  return NULL;
}

HttpTransfer *http_transfer_start(HttpPool *pool, const HttpRequest *request, Waker waker) {
  HttpClient *client = pool->client;
  HttpTransfer *t = transfer_new(client);
  if (!t) {
    client->curl->slist_free_all(request->headers);
    return NULL;
  }
  t->pool = pool;
  t->waker = waker;
  t->request_headers = request->headers;
  t->max_body = request->max_body;
  t->timeout = request->timeout;
  t->method = request->method;
  t->url = request->url;
  if (!drop_headers(t, request)) goto failed;
  set_options(t, request);
  if (client->curl->multi_add_handle(pool->multi, t->easy)) goto failed;
  pool->running++;
  pool_drive_later(pool);
  uint64_t due = timer_due(runtime_now(client->rt), t->timeout);
  if (due == TIMER_NEVER || !timer_set(&client->rt->timers, &t->timer, due, on_timeout)) return t;
  transfer_remove(t);

failed:
  http_transfer_release(t);
  return NULL;
}

void http_transfer_abort(HttpTransfer *t) {
  HttpPool *pool = t->pool;
  transfer_remove(t);
  http_transfer_release(t);
  pool_drive_later(pool); /* its place may be another's turn */
}

void http_transfer_release(HttpTransfer *t) {
  const CurlLibrary *curl = t->pool->client->curl;
  curl->easy_cleanup(t->easy);
  curl->slist_free_all(t->request_headers);
  buffer_free(&t->headers);
  buffer_free(&t->body);
  free(t);
}

const char *http_transfer_url(HttpTransfer *t) {
  char *url = NULL;
  t->pool->client->curl->easy_getinfo(t->easy, CURLINFO_EFFECTIVE_URL, &url);
  return url ? url : "";
}

const char *http_transfer_message(HttpTransfer *t) {
  return t->message[0] ? t->message : t->pool->client->curl->easy_strerror(t->result);
}
