#include "http_dial.h"

#include "http_lookup.h"
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define STAGGER_NS 250000000ull /* RFC 8305 section 5: the next address is tried after this */
#define MAX_ADDRESSES 16

typedef union Address {
  struct sockaddr any;
  struct sockaddr_in v4;
  struct sockaddr_in6 v6;
  struct sockaddr_un local;
} Address;

/* A connection on its way. Freed when libuv has closed it. */
typedef struct Attempt {
  uv_poll_t poll;
  HttpDial *dial;
  struct Attempt *next;
  int fd;
} Attempt;

struct HttpDial {
  Runtime *rt;
  HttpDialed *done;
  void *data;
  HttpLookup *lookup;
  Attempt *attempts;
  Timer deadline, stagger;
  int error; /* the most telling one so far */
  unsigned n, next;
  bool returned; /* http_dial_start has returned HTTP_DIALING */
  Address addresses[];
};

static void on_closed(uv_handle_t *handle) { free(handle); }

/* Takes the attempt off the list and closes its handle; the descriptor is the caller's. */
static int attempt_remove(Attempt *a) {
  Attempt **link = &a->dial->attempts;
  while (*link != a) link = &(*link)->next;
  *link = a->next;
  uv_close((uv_handle_t *)&a->poll, on_closed);
  return a->fd;
}

void http_dial_cancel(HttpDial *dial) {
  while (dial->attempts) close(attempt_remove(dial->attempts));
  if (dial->lookup) http_lookup_cancel(dial->lookup);
  timer_clear(&dial->rt->timers, &dial->deadline);
  timer_clear(&dial->rt->timers, &dial->stagger);
  free(dial);
}

/* The dial is over. */
static int end(HttpDial *dial, int result) {
  HttpDialed *done = dial->returned ? dial->done : NULL;
  void *data = dial->data;
  http_dial_cancel(dial);
  if (done) done(data, result);
  return result;
}

/* --- attempts --- */

/* That there is no way to an address of one family says less than what became of the others. */
static void note_error(HttpDial *dial, int error) {
  if (!dial->error || (error != UV_ENETUNREACH && error != UV_EADDRNOTAVAIL)) dial->error = error;
}

static int try_next(HttpDial *dial);

static void on_writable(uv_poll_t *poll, int status, int events) {
  (void)events;
  Attempt *a = (Attempt *)poll;
  HttpDial *dial = a->dial;
  int error = 0;
  socklen_t size = sizeof error;
  if (getsockopt(a->fd, SOL_SOCKET, SO_ERROR, &error, &size)) error = errno;
  int fd = attempt_remove(a);
  if (!error && status >= 0) {
    end(dial, fd);
    return;
  }
  close(fd);
  note_error(dial, error ? uv_translate_sys_error(error) : status);
  try_next(dial);
}

static void on_stagger(Timer *timer) { try_next(container_of(timer, HttpDial, stagger)); }

/* Starts to connect to an address. Returns a connected descriptor, HTTP_DIALING or an error. */
static int attempt(HttpDial *dial, const Address *address) {
  static const socklen_t sizes[] = {[AF_INET] = sizeof(struct sockaddr_in),
                                    [AF_INET6] = sizeof(struct sockaddr_in6),
                                    [AF_UNIX] = sizeof(struct sockaddr_un)};
  int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return uv_translate_sys_error(errno);
  int rc;
  do rc = connect(fd, &address->any, sizes[address->any.sa_family]);
  while (rc && errno == EINTR);
  if (!rc) return fd;
  int error = uv_translate_sys_error(errno);
  if (errno != EINPROGRESS) goto failed;
  Attempt *a = malloc(sizeof *a);
  error = UV_ENOMEM;
  if (!a) goto failed;
  if ((error = uv_poll_init(&dial->rt->loop, &a->poll, fd))) {
    free(a);
    goto failed;
  }
  a->dial = dial;
  a->fd = fd;
  a->next = dial->attempts;
  dial->attempts = a;
  if (!(error = uv_poll_start(&a->poll, UV_WRITABLE, on_writable))) return HTTP_DIALING;
  attempt_remove(a);

failed:
  close(fd);
  return error;
}

/* Tries the next address, if there is one. Returns what http_dial_start would. */
static int try_next(HttpDial *dial) {
  TimerHeap *timers = &dial->rt->timers;
  timer_clear(timers, &dial->stagger);
  while (dial->next < dial->n) {
    int result = attempt(dial, &dial->addresses[dial->next++]);
    if (result >= 0) return end(dial, result);
    if (result == HTTP_DIALING) {
      if (dial->next < dial->n)
        timer_set(timers, &dial->stagger, runtime_now(dial->rt) + STAGGER_NS, on_stagger);
      return HTTP_DIALING;
    }
    note_error(dial, result);
  }
  return dial->attempts ? HTTP_DIALING : end(dial, dial->error);
}

/* --- addresses --- */

/* Takes over the addresses of a look-up, the families by turns, beginning with that of the first
   (RFC 8305 section 4). */
static void take_addresses(HttpDial *dial, const struct addrinfo *found) {
  const struct addrinfo *same = found, *other = found;
  int family = found ? found->ai_family : AF_UNSPEC;
  while (dial->n < MAX_ADDRESSES) {
    while (same && same->ai_family != family) same = same->ai_next;
    while (other && (other->ai_family == family ||
                     (other->ai_family != AF_INET && other->ai_family != AF_INET6)))
      other = other->ai_next;
    if (!same && !other) return;
    const struct addrinfo **turn = other && (dial->n % 2 || !same) ? &other : &same;
    memcpy(&dial->addresses[dial->n++], (*turn)->ai_addr, (*turn)->ai_addrlen);
    *turn = (*turn)->ai_next;
  }
}

static void on_looked_up(void *data, int status, const struct addrinfo *found) {
  HttpDial *dial = data;
  dial->lookup = NULL;
  take_addresses(dial, found);
  if (!dial->n) dial->error = status ? status : UV_EAI_NONAME;
  try_next(dial);
}

static int look_up(HttpDial *dial, const HttpEndpoint *endpoint) {
  int error = http_lookup_start(&dial->rt->loop, endpoint->host, endpoint->port, on_looked_up, dial,
                                &dial->lookup);
  return error ? end(dial, error) : HTTP_DIALING;
}

/* The one address that needs no look-up, if it is such. */
static int known_address(const HttpEndpoint *endpoint, Address *address) {
  if (endpoint->unix_path) {
    size_t len = strlen(endpoint->unix_path);
    if (len >= sizeof address->local.sun_path) return UV_ENAMETOOLONG;
    address->local.sun_family = AF_UNIX;
    memcpy(address->local.sun_path, endpoint->unix_path, len + 1);
    return 0;
  }
  if (!uv_ip4_addr(endpoint->host, endpoint->port, &address->v4)) return 0;
  return uv_ip6_addr(endpoint->host, endpoint->port, &address->v6);
}

static void on_deadline(Timer *timer) {
  end(container_of(timer, HttpDial, deadline), UV_ETIMEDOUT);
}

int http_dial_start(Runtime *rt, const HttpEndpoint *endpoint, HttpDialed *done, void *data,
                    HttpDial **out) {
  HttpDial *dial = calloc(1, sizeof *dial + MAX_ADDRESSES * sizeof(Address));
  if (!dial) return UV_ENOMEM;
  *dial = (HttpDial){.rt = rt, .done = done, .data = data};
  uint64_t due = timer_due(runtime_now(rt), HTTP_DIAL_SECONDS);
  int result = timer_set(&rt->timers, &dial->deadline, due, on_deadline);
  if (result) return end(dial, result);
  result = known_address(endpoint, &dial->addresses[0]);
  if (result == UV_ENAMETOOLONG) return end(dial, result);
  if (result) {
    result = look_up(dial, endpoint);
  } else {
    dial->n = 1;
    result = try_next(dial);
  }
  if (result != HTTP_DIALING) return result;
  dial->returned = true;
  *out = dial;
  return HTTP_DIALING;
}
