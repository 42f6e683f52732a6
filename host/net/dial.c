#include "net/dial.h"

#include "net/lookup.h"
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
  Dial *dial;
  struct Attempt *next;
  int fd;
} Attempt;

struct Dial {
  Runtime *rt;
  Dialed *done;
  void *data;
  Lookup *lookup;
  Attempt *attempts;
  Timer deadline, stagger;
  int error; /* the most informative error so far */
  unsigned n, next;
  uint16_t port;
  const struct sockaddr *local; /* or NULL */
  bool returned;                /* dial_start has returned DIALING */
  Address addresses[];
};

static void on_closed(uv_handle_t *handle) { free(handle); }

/* Removes the attempt from the list and closes its handle; the caller owns the descriptor. */
static int attempt_remove(Attempt *a) {
  Attempt **link = &a->dial->attempts;
  while (*link != a) link = &(*link)->next;
  *link = a->next;
  uv_close((uv_handle_t *)&a->poll, on_closed);
  return a->fd;
}

void dial_cancel(Dial *dial) {
  while (dial->attempts) close(attempt_remove(dial->attempts));
  if (dial->lookup) lookup_cancel(dial->lookup);
  timer_clear(&dial->rt->timers, &dial->deadline);
  timer_clear(&dial->rt->timers, &dial->stagger);
  free(dial);
}

/* Ends the dial. */
static int end(Dial *dial, int result) {
  Dialed *done = dial->returned ? dial->done : NULL;
  void *data = dial->data;
  dial_cancel(dial);
  if (done) done(data, result);
  return result;
}

/* --- attempts --- */

/* An unreachable address family is less informative than the errors of other addresses. */
static void note_error(Dial *dial, int error) {
  if (!dial->error || (error != UV_ENETUNREACH && error != UV_EADDRNOTAVAIL)) dial->error = error;
}

static int try_next(Dial *dial);

static void on_writable(uv_poll_t *poll, int status, int events) {
  (void)events;
  Attempt *a = (Attempt *)poll;
  Dial *dial = a->dial;
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

static void on_stagger(Timer *timer) { try_next(container_of(timer, Dial, stagger)); }

/* Starts to connect to an address. Returns a connected descriptor, DIALING or an error. */
static int attempt(Dial *dial, const Address *address) {
  static const socklen_t sizes[] = {[AF_INET] = sizeof(struct sockaddr_in),
                                    [AF_INET6] = sizeof(struct sockaddr_in6),
                                    [AF_UNIX] = sizeof(struct sockaddr_un)};
  const struct sockaddr *local = dial->local;
  if (local && local->sa_family != address->any.sa_family) return UV_EADDRNOTAVAIL;
  int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return uv_translate_sys_error(errno);
  int rc, on = 1;
  if (local) {
    /* The port is chosen by connect, which knows which ones are free for this address. */
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    if (bind(fd, local, sizes[local->sa_family])) {
      rc = uv_translate_sys_error(errno);
      close(fd);
      return rc;
    }
  }
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
  if (!(error = uv_poll_start(&a->poll, UV_WRITABLE, on_writable))) return DIALING;
  attempt_remove(a);

failed:
  close(fd);
  return error;
}

/* Tries the next address, if there is one. Returns the same as dial_start. */
static int try_next(Dial *dial) {
  TimerHeap *timers = &dial->rt->timers;
  timer_clear(timers, &dial->stagger);
  while (dial->next < dial->n) {
    int result = attempt(dial, &dial->addresses[dial->next++]);
    if (result >= 0) return end(dial, result);
    if (result == DIALING) {
      if (dial->next < dial->n)
        timer_set(timers, &dial->stagger, runtime_now(dial->rt) + STAGGER_NS, on_stagger);
      return DIALING;
    }
    note_error(dial, result);
  }
  return dial->attempts ? DIALING : end(dial, dial->error);
}

/* --- addresses --- */

/* Takes over the addresses of a look-up, alternating between the families, beginning with that of
   the first address (RFC 8305 section 4). */
static void take_addresses(Dial *dial, const struct addrinfo *found) {
  const struct addrinfo *same = found, *other = found;
  int family = found ? found->ai_family : AF_UNSPEC;
  while (dial->n < MAX_ADDRESSES) {
    while (same && same->ai_family != family) same = same->ai_next;
    while (other && (other->ai_family == family ||
                     (other->ai_family != AF_INET && other->ai_family != AF_INET6)))
      other = other->ai_next;
    if (!same && !other) return;
    const struct addrinfo **turn = other && (dial->n % 2 || !same) ? &other : &same;
    Address *address = &dial->addresses[dial->n++];
    memcpy(address, (*turn)->ai_addr, (*turn)->ai_addrlen);
    if ((*turn)->ai_family == AF_INET6)
      address->v6.sin6_port = htons(dial->port);
    else
      address->v4.sin_port = htons(dial->port);
    *turn = (*turn)->ai_next;
  }
}

static void on_looked_up(void *data, int status, const struct addrinfo *found) {
  Dial *dial = data;
  dial->lookup = NULL;
  take_addresses(dial, found);
  if (!dial->n) dial->error = status ? status : UV_EAI_NONAME;
  try_next(dial);
}

/* Takes the addresses of a text, of which each that is not an address is left out. */
static void take_text(Dial *dial, const char *text) {
  struct addrinfo found[MAX_ADDRESSES], *first = NULL, **last = &first;
  Address addresses[MAX_ADDRESSES];
  for (unsigned n = 0; *text && n < MAX_ADDRESSES;) {
    char one[INET6_ADDRSTRLEN + UV_IF_NAMESIZE];
    size_t len = strcspn(text, "\n");
    Address *address = &addresses[n];
    if (len < sizeof one) {
      memcpy(one, text, len);
      one[len] = 0;
      bool is_v4 = !uv_ip4_addr(one, 0, &address->v4);
      if (is_v4 || !uv_ip6_addr(one, 0, &address->v6)) {
        found[n] = (struct addrinfo){.ai_family = is_v4 ? AF_INET : AF_INET6,
                                     .ai_addr = &address->any,
                                     .ai_addrlen = is_v4 ? sizeof address->v4 : sizeof address->v6};
        *last = &found[n++];
        last = &(*last)->ai_next;
      }
    }
    text += len + (text[len] != 0);
  }
  take_addresses(dial, first);
}

static int look_up(Dial *dial, const DialEndpoint *endpoint) {
  int error = lookup_start(dial->rt, endpoint->host, on_looked_up, dial, &dial->lookup);
  return error ? end(dial, error) : DIALING;
}

/* The single address, if `host` is an address and needs no look-up. */
static int known_address(const DialEndpoint *endpoint, Address *address) {
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

static void on_deadline(Timer *timer) { end(container_of(timer, Dial, deadline), UV_ETIMEDOUT); }

int dial_start(Runtime *rt, const DialEndpoint *endpoint, Dialed *done, void *data, Dial **out) {
  Dial *dial = calloc(1, sizeof *dial + MAX_ADDRESSES * sizeof(Address));
  if (!dial) return UV_ENOMEM;
  *dial = (Dial){
      .rt = rt, .done = done, .data = data, .local = endpoint->local, .port = endpoint->port};
  double seconds = endpoint->seconds > 0 ? endpoint->seconds : DIAL_SECONDS;
  uint64_t due = timer_due(runtime_now(rt), seconds);
  int result = timer_set(&rt->timers, &dial->deadline, due, on_deadline);
  if (result) return end(dial, result);
  if (endpoint->addresses) {
    take_text(dial, endpoint->addresses);
    if (!dial->n) dial->error = UV_EADDRNOTAVAIL;
    result = try_next(dial);
  } else if (!(result = known_address(endpoint, &dial->addresses[0]))) {
    dial->n = 1;
    result = try_next(dial);
  } else if (result == UV_ENAMETOOLONG) {
    return end(dial, result);
  } else {
    result = look_up(dial, endpoint);
  }
  if (result != DIALING) return result;
  dial->returned = true;
  *out = dial;
  return DIALING;
}
