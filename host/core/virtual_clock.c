#include "core/virtual_clock.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* Time for bytes between two of our own sockets to arrive. */
#define IN_FLIGHT_MS 1
/* 2^-9 seconds, the smallest binary fraction of a second in whole nanoseconds. A virtual clock
   starts at a multiple of it, so after a sleep it never shows less than it should. */
#define START_NS 1953125u

void virtual_clock_set(Runtime *rt, bool on) {
  Clock *clock = &rt->timers.clock;
  if (clock->is_virtual == on) return;
  uint64_t shown = clock_now(clock); /* first: the time of day does not go back when it begins */
  if (on) clock->to_day = clock_day_time(clock) - (int64_t)shown;
  clock->is_virtual = on;
  if (on) {
    clock_stop(clock);
    clock->shows += START_NS - 1;
    clock->shows -= clock->shows % START_NS;
  } else {
    clock_go(clock);
  }
  rt->pass_at = clock_now(clock); /* so that ages are exact, too */
}

/* --- other activity --- */

/* The two addresses of a TCP connection, in a form that compares equal. */
typedef struct Ends {
  struct sockaddr_in6 own, peer;
} Ends;

static bool address_of(int (*name_of)(int, struct sockaddr *, socklen_t *), int fd,
                       struct sockaddr_in6 *address) {
  socklen_t size = sizeof *address;
  memset(address, 0, sizeof *address);
  if (name_of(fd, (struct sockaddr *)address, &size)) return false;
  if (address->sin6_family == AF_INET)
    memset((char *)address + sizeof(struct sockaddr_in), 0,
           sizeof *address - sizeof(struct sockaddr_in));
  return address->sin6_family == AF_INET || address->sin6_family == AF_INET6;
}

static bool ends_of(int fd, Ends *ends) {
  return fd >= 0 && address_of(getsockname, fd, &ends->own) &&
         address_of(getpeername, fd, &ends->peer);
}

static bool is_listening(int fd) {
  int listening = 0;
  socklen_t size = sizeof listening;
  return fd >= 0 && getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) == 0 && listening;
}

static bool keeps_alive(const uv_handle_t *handle) {
  return uv_is_active(handle) && uv_has_ref(handle);
}

/* A possible source of events. */
typedef struct Source {
  int fd;     /* of a socket, or -1 */
  bool waits; /* it keeps the loop alive */
} Source;

typedef struct Sources {
  Source *list;
  size_t len, cap;
  bool failed; /* no memory */
} Sources;

static void add_source(void *data, int fd, bool waits) {
  Sources *all = data;
  if (all->len == all->cap) {
    size_t cap = all->cap ? all->cap * 2 : 32;
    Source *list = realloc(all->list, cap * sizeof *list);
    if (!list) {
      all->failed = true;
      return;
    }
    all->list = list;
    all->cap = cap;
  }
  all->list[all->len++] = (Source){fd, waits};
}

/* A listener, the timer of the tasks and the handle of a set of sockets are not sources. */
static void add_handle(uv_handle_t *handle, void *data) {
  const Runtime *rt = container_of(handle->loop, Runtime, loop);
  uv_os_fd_t fd = -1;
  if (uv_is_closing(handle) || handle == (const uv_handle_t *)&rt->timers.handle ||
      socket_set_has_handle(rt, handle))
    return;
  if (handle->type == UV_TCP || handle->type == UV_POLL || handle->type == UV_NAMED_PIPE)
    if (uv_fileno(handle, &fd)) fd = -1;
  if (!is_listening(fd)) add_source(data, fd, keeps_alive(handle));
}

/* The connection's other end on the same loop, or NULL. */
static const Source *other_end(const Sources *all, const Source *source) {
  Ends ends, others;
  if (!ends_of(source->fd, &ends)) return NULL;
  for (size_t i = 0; i < all->len; i++)
    if (ends_of(all->list[i].fd, &others) &&
        memcmp(&others.own, &ends.peer, sizeof others.own) == 0 &&
        memcmp(&others.peer, &ends.own, sizeof others.own) == 0)
      return &all->list[i];
  return NULL;
}

typedef enum Work {
  WORK_NONE,
  WORK_WITHIN,  /* both ends of a connection are ours, and wait */
  WORK_OUTSIDE, /* something from outside is waited for */
} Work;

static Work work_of(Runtime *rt) {
  if (rt->loop.active_reqs.count > 0) return WORK_OUTSIDE;
  Sources all = {0};
  uv_walk(&rt->loop, add_handle, &all);
  socket_set_each(rt, add_source, &all);
  Work work = all.failed ? WORK_OUTSIDE : WORK_NONE;
  for (size_t i = 0; i < all.len && work != WORK_OUTSIDE; i++) {
    if (!all.list[i].waits) continue;
    const Source *other = other_end(&all, &all.list[i]);
    if (!other)
      work = WORK_OUTSIDE;
    else if (other->waits)
      work = WORK_WITHIN;
  }
  free(all.list);
  return work;
}

/* --- a turn --- */

static bool has_news(const Runtime *rt) { return rt->scheduler.ready.head || rt->pass_hooks; }

/* Waits for an event, or for the time of the next timer, while the clock runs. */
static void wait_in_real_time(Runtime *rt) {
  clock_go(&rt->timers.clock);
  timer_heap_arm(&rt->timers);
  uv_run(&rt->loop, UV_RUN_ONCE);
  clock_stop(&rt->timers.clock);
}

bool virtual_clock_turn(Runtime *rt) {
  timer_heap_disarm(&rt->timers);
  uv_run(&rt->loop, UV_RUN_NOWAIT); /* events that have already happened come before any timer */
  if (has_news(rt)) return true;
  Work work = work_of(rt);
  if (work == WORK_WITHIN) {
    timer_heap_arm_in(&rt->timers, IN_FLIGHT_MS);
    uv_run(&rt->loop, UV_RUN_ONCE);
    if (has_news(rt)) return true;
  }
  if (work != WORK_OUTSIDE && timer_heap_jump(&rt->timers)) return true;
  timer_heap_arm(&rt->timers);
  if (!uv_loop_alive(&rt->loop)) return false;
  wait_in_real_time(rt);
  return true;
}
