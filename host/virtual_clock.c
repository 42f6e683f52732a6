#include "virtual_clock.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* Time for bytes between two sockets of ours to arrive. */
#define IN_FLIGHT_MS 1

void virtual_clock_set(Runtime *rt, bool on) {
  Clock *clock = &rt->timers.clock;
  if (clock->is_virtual == on) return;
  clock->is_virtual = on;
  if (on)
    clock_stop(clock);
  else
    clock_go(clock);
  rt->pass_at = clock_now(clock); /* so that ages are exact, too */
}

/* --- what else is going on --- */

/* The two addresses of a TCP connection, without what differs between equal ones. */
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

static bool ends_of(const uv_handle_t *handle, Ends *ends) {
  uv_os_fd_t fd;
  return !uv_is_closing(handle) && (handle->type == UV_TCP || handle->type == UV_POLL) &&
         uv_fileno(handle, &fd) == 0 && address_of(getsockname, fd, &ends->own) &&
         address_of(getpeername, fd, &ends->peer);
}

static bool is_listening(const uv_handle_t *handle) {
  uv_os_fd_t fd;
  int listening = 0;
  socklen_t size = sizeof listening;
  return (handle->type == UV_TCP || handle->type == UV_POLL || handle->type == UV_NAMED_PIPE) &&
         uv_fileno(handle, &fd) == 0 &&
         getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) == 0 && listening;
}

static bool keeps_alive(const uv_handle_t *handle) {
  return uv_is_active(handle) && uv_has_ref(handle);
}

/* uv_walk cannot be nested: the handles are collected first. */
typedef struct Handles {
  uv_handle_t **list;
  size_t len, cap;
  bool failed; /* no memory */
} Handles;

static void collect(uv_handle_t *handle, void *data) {
  Handles *all = data;
  if (all->len == all->cap) {
    size_t cap = all->cap ? all->cap * 2 : 32;
    uv_handle_t **list = realloc(all->list, cap * sizeof *list);
    if (!list) {
      all->failed = true;
      return;
    }
    all->list = list;
    all->cap = cap;
  }
  all->list[all->len++] = handle;
}

/* The connection's other end on the same loop, or NULL. */
static const uv_handle_t *other_end(const Handles *all, const uv_handle_t *handle) {
  Ends ends, others;
  if (!ends_of(handle, &ends)) return NULL;
  for (size_t i = 0; i < all->len; i++)
    if (ends_of(all->list[i], &others) && memcmp(&others.own, &ends.peer, sizeof others.own) == 0 &&
        memcmp(&others.peer, &ends.own, sizeof others.own) == 0)
      return all->list[i];
  return NULL;
}

typedef enum Work {
  WORK_NONE,
  WORK_WITHIN,  /* both ends of a connection are ours, and wait */
  WORK_OUTSIDE, /* something from outside is waited for */
} Work;

static Work work_of(Runtime *rt) {
  if (rt->loop.active_reqs.count > 0) return WORK_OUTSIDE;
  Handles all = {0};
  uv_walk(&rt->loop, collect, &all);
  Work work = all.failed ? WORK_OUTSIDE : WORK_NONE;
  for (size_t i = 0; i < all.len && work != WORK_OUTSIDE; i++) {
    const uv_handle_t *handle = all.list[i];
    if (!keeps_alive(handle) || handle == (uv_handle_t *)&rt->timers.handle || is_listening(handle))
      continue;
    const uv_handle_t *other = other_end(&all, handle);
    if (!other)
      work = WORK_OUTSIDE;
    else if (keeps_alive(other))
      work = WORK_WITHIN;
  }
  free(all.list);
  return work;
}

/* --- a turn --- */

static bool has_news(const Runtime *rt) { return rt->ready.head || rt->pass_hooks; }

/* Waits for an event, or for the time of the next timer, while the clock runs. */
static void wait_in_real_time(Runtime *rt) {
  clock_go(&rt->timers.clock);
  timer_heap_arm(&rt->timers);
  uv_run(&rt->loop, UV_RUN_ONCE);
  clock_stop(&rt->timers.clock);
}

bool virtual_clock_turn(Runtime *rt) {
  timer_heap_disarm(&rt->timers);
  uv_run(&rt->loop, UV_RUN_NOWAIT); /* what has happened already comes before any timer */
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
