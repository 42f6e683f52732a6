#include "http/client/curl_pool.h"
#include "http/client/curl_transfer.h"
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_ROUNDS 8 /* of curl's "call me at once" in a row before the loop gets its turn */

/* A descriptor that curl has asked to watch. Once it is a connection, it is watched for as long as
   it is open: while idle, it does not keep the loop alive, and the next request on it needs no
   system call. */
struct CurlSocket {
  uv_poll_t poll;
  CurlPool *pool;
  int fd;
  int wanted; /* events curl waits for; 0: idle */
  int armed;  /* events libuv waits for */
  /* curl (7.88) calls on_close_socket only for sockets that have been connected, and waits to read
     only from those; it closes others silently and asks to remove them later. */
  bool connection, connected;
};

/* --- sockets --- */

static void on_poll_closed(uv_handle_t *handle) { free(handle); }

static CurlSocket *socket_at(CurlPool *pool, curl_socket_t fd) {
  return fd < pool->socket_slots ? pool->sockets[fd] : NULL;
}

static void on_poll(uv_poll_t *poll, int status, int events);

/* Adds `fd` to the loop. NULL if memory, or the kernel's room for it, is out. */
static CurlSocket *socket_add(CurlPool *pool, int fd) {
  if (fd >= pool->socket_slots) {
    int slots = fd + 16;
    CurlSocket **sockets = realloc(pool->sockets, (size_t)slots * sizeof *sockets);
    if (!sockets) return NULL;
    memset(sockets + pool->socket_slots, 0, (size_t)(slots - pool->socket_slots) * sizeof *sockets);
    pool->sockets = sockets;
    pool->socket_slots = slots;
  }
  CurlSocket *s = calloc(1, sizeof *s);
  if (!s) return NULL;
  if (uv_poll_init_socket(&pool->client->rt->loop, &s->poll, fd)) {
    free(s);
    return NULL;
  }
  s->pool = pool;
  s->fd = fd;
  /* The socket pair through which the resolver's thread reports is AF_UNIX, too, but has no
     path. */
  struct sockaddr_storage peer;
  socklen_t len = sizeof peer;
  int domain = AF_UNIX;
  getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &(socklen_t){sizeof domain});
  s->connection = domain != AF_UNIX || getpeername(fd, (struct sockaddr *)&peer, &len) ||
                  len > sizeof(sa_family_t);
  pool->sockets[fd] = s;
  return s;
}

static void socket_remove(CurlPool *pool, CurlSocket *s) {
  pool->sockets[s->fd] = NULL;
  uv_close((uv_handle_t *)&s->poll, on_poll_closed);
}

static void socket_watch(CurlSocket *s, int events) {
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
  CurlPool *pool = data;
  CurlSocket *s = socket_at(pool, fd);
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
  /* curl has closed a socket with this number and assumes that the new one is being watched
     instead. */
  CurlSocket *s = socket_at(data, fd);
  if (s) {
    s->armed = 0;
    s->connected = false;
    socket_watch(s, s->wanted);
  }
  return fd;
}

static int on_close_socket(void *data, curl_socket_t fd) {
  CurlSocket *s = socket_at(data, fd);
  if (s) socket_remove(data, s); /* before the descriptor can be reused */
  return close(fd);
}

/* --- driving curl --- */

static void on_timer(Timer *timer);

static void pool_set_timer(CurlPool *pool) {
  TimerHeap *timers = &pool->client->rt->timers;
  uint64_t due = pool->due ? runtime_now(pool->client->rt) : pool->wanted_timer;
  if (due == pool->set_timer) return;
  pool->set_timer = due;
  if (due == TIMER_NEVER)
    timer_clear(timers, &pool->timer);
  else
    timer_set(timers, &pool->timer, due, on_timer);
}

/* Tells curl that `fd` has `flags`, and continues until curl wants to wait. Tasks whose transfers
   have ended are woken. Never called from curl's callbacks: curl is not re-entrant. */
static void pool_drive(CurlPool *pool, curl_socket_t fd, int flags) {
  const CurlLibrary *curl = pool->client->curl;
  int running;
  for (int round = 0; round < MAX_ROUNDS; round++) {
    pool->due = false;
    if (fd == CURL_SOCKET_TIMEOUT) pool->wanted_timer = TIMER_NEVER; /* curl sets it again */
    curl->multi_socket_action(pool->multi, fd, flags, &running);
    int left;
    CURLMsg *message;
    while ((message = curl->multi_info_read(pool->multi, &left))) {
      if (message->msg != CURLMSG_DONE) continue;
      CURLcode result = message->data.result;
      CurlTransfer *t;
      curl->easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &t);
      curl_transfer_end(t, result);
    }
    if (!pool->due) break;
    fd = CURL_SOCKET_TIMEOUT;
    flags = 0;
  }
  pool_set_timer(pool);
}

/* curl: call me in `ms`. During pool_drive, this takes effect at its end. */
static int on_curl_timer(CURLM *multi, long ms, void *data) {
  (void)multi;
  CurlPool *pool = data;
  pool->due = ms == 0;
  pool->wanted_timer =
      ms < 0 ? TIMER_NEVER : runtime_now(pool->client->rt) + (uint64_t)ms * 1000000;
  return 0;
}

static void on_timer(Timer *timer) {
  CurlPool *pool = container_of(timer, CurlPool, timer);
  pool->set_timer = TIMER_NEVER;
  pool_drive(pool, CURL_SOCKET_TIMEOUT, 0);
}

static void on_poll(uv_poll_t *poll, int status, int events) {
  CurlSocket *s = (CurlSocket *)poll;
  CurlPool *pool = s->pool;
  int fd = s->fd;
  if (status < 0) s->armed = 0; /* libuv stops watching after an error */
  if (!s->wanted) {             /* the server closed an idle connection; curl sees it on reuse */
    uv_poll_stop(poll);
    s->armed = 0;
    return;
  }
  /* After an error, curl has to check by itself: flags of 0. */
  pool_drive(pool, fd,
             status < 0 ? 0
                        : (events & UV_READABLE ? CURL_CSELECT_IN : 0) |
                              (events & UV_WRITABLE ? CURL_CSELECT_OUT : 0));
  if (status < 0 && socket_at(pool, fd) == s && s->wanted) socket_watch(s, s->wanted);
}

void curl_pool_drive_later(CurlPool *pool) {
  pool->started = true;
  runtime_at_pass_end(pool->client->rt, &pool->client->pass_hook);
}

/* --- whose turn it is --- */

/* Scheme, host and port of a URL, with its length: what comes before the path. */
static const char *origin_of(const CurlTransfer *t, size_t *len) {
  const char *host = strstr(t->url, "://");
  *len = host ? (size_t)(host + 3 - t->url) : 0;
  *len += strcspn(t->url + *len, "/?#");
  return t->url;
}

/* May curl take this transfer, too? */
static bool has_room(const CurlPool *pool, const CurlTransfer *t) {
  long max = pool->options.max_per_origin, same = 0;
  if (!max || pool->running < max) return true;
  size_t len, other_len;
  const char *origin = origin_of(t, &len);
  for (const CurlTransfer *other = pool->transfers; other; other = other->next) {
    const char *other_origin = origin_of(other, &other_len);
    same += len == other_len && !memcmp(origin, other_origin, len);
  }
  return same < max;
}

static void link_first(CurlTransfer **list, CurlTransfer *t) {
  t->link = list;
  t->next = *list;
  if (t->next) t->next->link = &t->next;
  *list = t;
}

/* Gives curl the transfers whose turn it is. curl enforces the limits as well, but serves transfers
   that wait for a connection in any order. */
static void pool_admit(CurlPool *pool) {
  CurlTransfer *next;
  for (CurlTransfer *t = pool->line; t && pool->running < pool->options.max_connections; t = next) {
    next = t->next;
    if (!has_room(pool, t)) continue;
    curl_pool_remove(pool, t);
    link_first(&pool->transfers, t);
    t->running = true;
    pool->running++;
    if (pool->client->curl->multi_add_handle(pool->multi, t->easy))
      curl_transfer_end(t, CURLE_OUT_OF_MEMORY);
  }
}

void curl_pool_add(CurlPool *pool, CurlTransfer *t) {
  t->link = pool->line_tail;
  t->next = NULL;
  *pool->line_tail = t;
  pool->line_tail = &t->next;
  curl_pool_drive_later(pool);
}

void curl_pool_remove(CurlPool *pool, CurlTransfer *t) {
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

static void pool_close(CurlPool *pool) {
  if (!pool->multi) return;
  const CurlLibrary *curl = pool->client->curl;
  while (pool->transfers) curl_transfer_end(pool->transfers, CURLE_ABORTED_BY_CALLBACK);
  while (pool->line) curl_transfer_end(pool->line, CURLE_ABORTED_BY_CALLBACK);
  curl->multi_cleanup(pool->multi);
  pool->multi = NULL;
  for (int fd = 0; fd < pool->socket_slots; fd++) {
    if (pool->sockets[fd]) socket_remove(pool, pool->sockets[fd]);
  }
  timer_clear(&pool->client->rt->timers, &pool->timer);
  *pool->link = pool->next;
  if (pool->next) pool->next->link = pool->link;
}

/* At the end of a pass, the requests that its tasks started are sent together. */
static void on_pass_end(PassHook *hook, Runtime *rt) {
  (void)rt;
  CurlPools *client = container_of(hook, CurlPools, pass_hook);
  CurlPool *next;
  for (CurlPool *pool = client->pools; pool; pool = next) {
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
  CurlPools *client = (CurlPools *)hook;
  while (client->pools) pool_close(client->pools);
}

CurlPools *curl_pools_new(Runtime *rt, const CurlLibrary *curl) {
  CurlPools *client = calloc(1, sizeof *client);
  if (!client) return NULL;
  client->rt = rt;
  client->curl = curl;
  client->pass_hook.run = on_pass_end;
  client->close_hook.close = on_runtime_close;
  ml_runtime_on_close(rt, &client->close_hook);
  return client;
}

void curl_pools_free(CurlPools *client) { free(client); }

/* Copies `text` (NULL: none) to `*copy`; false if memory is out. */
static bool copy_text(const char **copy, const char *text) {
  *copy = text ? strdup(text) : NULL;
  return !text || *copy;
}

static void pool_release(CurlPool *pool) {
  free((char *)pool->options.http_proxy);
  free((char *)pool->options.https_proxy);
  free((char *)pool->options.no_proxy);
  free((char *)pool->options.ca);
  free((char *)pool->options.cert);
  free((char *)pool->options.key);
  free(pool->sockets);
  free(pool);
}

CurlPool *curl_pool_new(CurlPools *client, const CurlPoolOptions *options) {
  const CurlLibrary *curl = client->curl;
  CurlPool *pool = calloc(1, sizeof *pool);
  if (!pool) return NULL;
  pool->client = client;
  pool->line_tail = &pool->line;
  pool->wanted_timer = pool->set_timer = TIMER_NEVER;
  pool->options = *options;
  bool copied = copy_text(&pool->options.http_proxy, options->http_proxy);
  copied &= copy_text(&pool->options.https_proxy, options->https_proxy);
  copied &= copy_text(&pool->options.no_proxy, options->no_proxy);
  copied &= copy_text(&pool->options.ca, options->ca);
  copied &= copy_text(&pool->options.cert, options->cert);
  copied &= copy_text(&pool->options.key, options->key);
  if (copied) pool->multi = curl->multi_init();
  if (!pool->multi) {
    pool_release(pool);
    return NULL;
  }
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

void curl_pool_close(CurlPool *pool) {
  if (!pool->transfers && !pool->line)
    pool_close(pool);
  else
    pool->closing = true;
}

void curl_pool_free(CurlPool *pool) {
  pool_close(pool);
  pool_release(pool);
}

/* A file of the options, which may be its text. */
static void set_file(const CurlLibrary *curl, CURL *easy, CURLoption path, CURLoption blob,
                     const char *value) {
  if (!value) return;
  struct curl_blob text = {(char *)(uintptr_t)value, strlen(value), CURL_BLOB_COPY};
  if (strstr(value, "-----BEGIN"))
    curl->easy_setopt(easy, blob, &text);
  else
    curl->easy_setopt(easy, path, value);
}

void curl_pool_prepare(CurlPool *pool, CURL *easy, bool https) {
  const CurlLibrary *curl = pool->client->curl;
  const CurlPoolOptions *o = &pool->options;
  const char *proxy = https ? o->https_proxy : o->http_proxy;
#define SET(option, value) curl->easy_setopt(easy, CURLOPT_##option, value)
  SET(OPENSOCKETFUNCTION, on_open_socket);
  SET(OPENSOCKETDATA, pool);
  SET(CLOSESOCKETFUNCTION, on_close_socket);
  SET(CLOSESOCKETDATA, pool);
  SET(MAXAGE_CONN, o->idle);
  if (!o->idle) SET(FORBID_REUSE, 1L); /* curl treats an age of 0 as no limit */
  SET(PROXY, proxy ? proxy : "");      /* curl must not read the environment */
  SET(NOPROXY, o->no_proxy ? o->no_proxy : "");
  if (https) {
    set_file(curl, easy, CURLOPT_CAINFO, CURLOPT_CAINFO_BLOB, o->ca);
    set_file(curl, easy, CURLOPT_SSLCERT, CURLOPT_SSLCERT_BLOB, o->cert);
    set_file(curl, easy, CURLOPT_SSLKEY, CURLOPT_SSLKEY_BLOB, o->key ? o->key : o->cert);
  }
#undef SET
}
