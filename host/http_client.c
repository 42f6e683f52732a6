#include "http_client.h"
#include "http_transfer.h"
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_ROUNDS 8 /* of curl's "call me at once" before the loop has its turn */

/* A descriptor that curl has asked to watch. Once it is a connection, it is watched as long as it
   is open: idle, it does not keep the loop alive, and the next request on it needs no system call.
 */
struct HttpSocket {
  uv_poll_t poll;
  HttpPool *pool;
  int fd;
  int wanted; /* events curl waits for; 0: idle */
  int armed;  /* events libuv waits for */
  /* curl (7.88) calls on_close_socket for sockets that have been connected, and waits to read from
     those alone; it closes others without a word and asks to remove them later. */
  bool connection, connected;
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
  /* The pair through which the resolver's thread reports is AF_UNIX, too, but has no path. */
  struct sockaddr_storage peer;
  socklen_t len = sizeof peer;
  int domain = AF_UNIX;
  getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &(socklen_t){sizeof domain});
  s->connection = domain != AF_UNIX || getpeername(fd, (struct sockaddr *)&peer, &len) ||
                  len > sizeof(sa_family_t);
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
  if (what & CURL_POLL_IN) s->connected = s->connection;
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
      http_transfer_end(t, result);
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

void http_pool_drive_later(HttpPool *pool) {
  pool->started = true;
  runtime_at_pass_end(pool->client->rt, &pool->client->pass_hook);
}

/* --- whose turn it is --- */

/* Scheme, host and port of a URL, with its length: what comes before the path. */
static const char *origin_of(const HttpTransfer *t, size_t *len) {
  const char *host = strstr(t->url, "://");
  *len = host ? (size_t)(host + 3 - t->url) : 0;
  *len += strcspn(t->url + *len, "/?#");
  return t->url;
}

/* May curl have this transfer, too? */
static bool has_room(const HttpPool *pool, const HttpTransfer *t) {
  long max = pool->options.max_per_origin, same = 0;
  if (!max || pool->running < max) return true;
  size_t len, other_len;
  const char *origin = origin_of(t, &len);
  for (const HttpTransfer *other = pool->transfers; other; other = other->next) {
    const char *other_origin = origin_of(other, &other_len);
    same += len == other_len && !memcmp(origin, other_origin, len);
  }
  return same < max;
}

static void link_first(HttpTransfer **list, HttpTransfer *t) {
  t->link = list;
  t->next = *list;
  if (t->next) t->next->link = &t->next;
  *list = t;
}

/* Gives curl the transfers whose turn it is. curl keeps the limits as well, but has those that wait
   for a connection go on in any order. */
static void pool_admit(HttpPool *pool) {
  HttpTransfer *next;
  for (HttpTransfer *t = pool->line; t && pool->running < pool->options.max_connections; t = next) {
    next = t->next;
    if (!has_room(pool, t)) continue;
    http_pool_remove(pool, t);
    link_first(&pool->transfers, t);
    t->running = true;
    pool->running++;
    if (pool->client->curl->multi_add_handle(pool->multi, t->easy))
      http_transfer_end(t, CURLE_OUT_OF_MEMORY);
  }
}

void http_pool_add(HttpPool *pool, HttpTransfer *t) {
  t->link = pool->line_tail;
  t->next = NULL;
  *pool->line_tail = t;
  pool->line_tail = &t->next;
  http_pool_drive_later(pool);
}

void http_pool_remove(HttpPool *pool, HttpTransfer *t) {
  *t->link = t->next;
  if (t->next)
    t->next->link = t->link;
  else if (!t->running)
    pool->line_tail = t->link;
  if (!t->running) return;
  pool->client->curl->multi_remove_handle(pool->multi, t->easy);
  t->running = false;
  pool->running--;
}

/* --- life of clients and pools --- */

static void pool_close(HttpPool *pool) {
  if (!pool->multi) return;
  const CurlLibrary *curl = pool->client->curl;
  while (pool->transfers) http_transfer_end(pool->transfers, CURLE_ABORTED_BY_CALLBACK);
  while (pool->line) http_transfer_end(pool->line, CURLE_ABORTED_BY_CALLBACK);
  curl->multi_cleanup(pool->multi);
  pool->multi = NULL;
  for (int fd = 0; fd < pool->socket_slots; fd++) {
    if (pool->sockets[fd]) socket_remove(pool, pool->sockets[fd]);
  }
  curl->share_cleanup(pool->share);
  pool->share = NULL;
  timer_clear(&pool->client->rt->timers, &pool->timer);
  *pool->link = pool->next;
  if (pool->next) pool->next->link = pool->link;
}

/* At the end of a pass, the requests that its tasks started are sent together. */
static void on_pass_end(PassHook *hook, Runtime *rt) {
  (void)rt;
  HttpClient *client = container_of(hook, HttpClient, pass_hook);
  HttpPool *next;
  for (HttpPool *pool = client->pools; pool; pool = next) {
    next = pool->next;
    if (!pool->started) continue;
    pool->started = false;
    pool_admit(pool);
    pool_drive(pool, CURL_SOCKET_TIMEOUT, 0);
    if (pool->closing && !pool->transfers && !pool->line) pool_close(pool);
  }
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

/* A copy of `text` (NULL: none) in `*copy`; false when memory is out. */
static bool copy_text(const char **copy, const char *text) {
  *copy = text ? strdup(text) : NULL;
  return !text || *copy;
}

static void pool_release(HttpPool *pool) {
  free((char *)pool->options.http_proxy);
  free((char *)pool->options.https_proxy);
  free((char *)pool->options.no_proxy);
  free(pool->sockets);
  free(pool);
}

HttpPool *http_pool_new(HttpClient *client, const HttpPoolOptions *options) {
  const CurlLibrary *curl = client->curl;
  HttpPool *pool = calloc(1, sizeof *pool);
  if (!pool) return NULL;
  pool->client = client;
  pool->line_tail = &pool->line;
  pool->wanted_timer = pool->set_timer = TIMER_NEVER;
  pool->options = *options;
  bool copied = copy_text(&pool->options.http_proxy, options->http_proxy);
  copied &= copy_text(&pool->options.https_proxy, options->https_proxy);
  copied &= copy_text(&pool->options.no_proxy, options->no_proxy);
  if (copied) pool->multi = curl->multi_init();
  if (pool->multi && options->cookies && !(pool->share = curl->share_init())) {
    curl->multi_cleanup(pool->multi);
    pool->multi = NULL;
  }
  if (!pool->multi) {
    pool_release(pool);
    return NULL;
  }
  if (pool->share) curl->share_setopt(pool->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_COOKIE);
  curl->multi_setopt(pool->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
  curl->multi_setopt(pool->multi, CURLMOPT_SOCKETDATA, pool);
  curl->multi_setopt(pool->multi, CURLMOPT_TIMERFUNCTION, on_curl_timer);
  curl->multi_setopt(pool->multi, CURLMOPT_TIMERDATA, pool);
  curl->multi_setopt(pool->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, options->max_connections);
  curl->multi_setopt(pool->multi, CURLMOPT_MAX_HOST_CONNECTIONS, options->max_per_origin);
  curl->multi_setopt(pool->multi, CURLMOPT_MAXCONNECTS, options->max_connections);
  pool->link = &client->pools;
  pool->next = client->pools;
  if (pool->next) pool->next->link = &pool->next;
  client->pools = pool;
  return pool;
}

void http_pool_close(HttpPool *pool) {
  if (!pool->transfers && !pool->line)
    pool_close(pool);
  else
    pool->closing = true;
}

void http_pool_free(HttpPool *pool) {
  pool_close(pool);
  pool_release(pool);
}

void http_pool_prepare(HttpPool *pool, CURL *easy, bool https) {
  const CurlLibrary *curl = pool->client->curl;
  const HttpPoolOptions *o = &pool->options;
  const char *proxy = https ? o->https_proxy : o->http_proxy;
#define SET(option, value) curl->easy_setopt(easy, CURLOPT_##option, value)
  SET(OPENSOCKETFUNCTION, on_open_socket);
  SET(OPENSOCKETDATA, pool);
  SET(CLOSESOCKETFUNCTION, on_close_socket);
  SET(CLOSESOCKETDATA, pool);
  SET(MAXAGE_CONN, o->idle);
  if (!o->idle) SET(FORBID_REUSE, 1L); /* curl takes an age of 0 for none */
  SET(PROXY, proxy ? proxy : "");      /* the environment is not curl's to read */
  SET(NOPROXY, o->no_proxy ? o->no_proxy : "");
  if (pool->share) {
    SET(SHARE, pool->share);
    SET(COOKIEFILE, "");
  }
#undef SET
}
