#include "http_plain_poll.h"

#include "http_plain_connection.h"
#include "http_plain_exchange.h"
#include "prefetch.h"
#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#define EVENTS 256      /* handed out at a time */
#define MOST_IN_TURN 16 /* times in a row, before others of the loop have their turn */

static void free_old(PlainPoll *poll) {
  for (PlainConnection *c; (c = poll->old);) {
    poll->old = c->next;
    plain_connection_free(c);
  }
}

/* Asks ahead for what the events after the one at `k` are about, step by step: for the connection,
   then its exchange, then the exchange's buffers and task. */
static void prefetch_events(const struct epoll_event *events, int k, int n) {
  if (k + 3 < n) prefetch(events[k + 3].data.ptr, sizeof(PlainConnection));
  if (k + 2 < n) {
    const PlainConnection *c = events[k + 2].data.ptr;
    const PlainExchange *x = c->exchange;
    if (x) {
      prefetch(x, offsetof(PlainExchange, request));
      prefetch(&x->response, offsetof(PlainResponse, parser));
    }
  }
  if (k + 1 < n) {
    const PlainConnection *c = events[k + 1].data.ptr;
    const PlainExchange *x = c->exchange;
    if (!x) return;
    prefetch(x->response.head.data, 2 * PREFETCH_LINE);
    prefetch(x->response.body.data, PREFETCH_LINE);
    prefetch(x->waker.task, offsetof(Task, parent));
  }
}

/* The set is level-triggered for the loop: what is left comes on its next pass. Its errors are
   those of its sockets, which have them, too. */
static void on_events(uv_poll_t *handle, int status, int what) {
  PlainPoll *poll = handle->data;
  struct epoll_event events[EVENTS];
  int n = EVENTS;
  (void)status;
  (void)what;
  poll->at_work = true;
  for (int i = 0; i < MOST_IN_TURN && n == EVENTS; i++) {
    n = epoll_wait(poll->fd, events, EVENTS, 0);
    for (int k = 0; k < n; k++) {
      prefetch_events(events, k, n);
      plain_connection_ready(events[k].data.ptr, events[k].events);
    }
    free_old(poll);
  }
  poll->at_work = false;
}

static int open_set(PlainPoll *poll, uv_loop_t *loop) {
  int fd = epoll_create1(EPOLL_CLOEXEC);
  if (fd < 0) return -errno;
  int error = uv_poll_init(loop, &poll->handle, fd);
  if (error) {
    close(fd);
    return error;
  }
  poll->fd = fd;
  poll->open = true;
  poll->handle.data = poll;
  uv_unref((uv_handle_t *)&poll->handle);
  return uv_poll_start(&poll->handle, UV_READABLE, on_events);
}

static int control(PlainPoll *poll, int operation, int fd, PlainConnection *c) {
  struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = c};
  return epoll_ctl(poll->fd, operation, fd, &event) ? -errno : 0;
}

int plain_poll_add(PlainPoll *poll, uv_loop_t *loop, int fd, PlainConnection *c) {
  int error = poll->open ? 0 : open_set(poll, loop);
  return error ? error : control(poll, EPOLL_CTL_ADD, fd, c);
}

void plain_poll_ask_again(PlainPoll *poll, int fd, PlainConnection *c) {
  control(poll, EPOLL_CTL_MOD, fd, c);
}

void plain_poll_remove(PlainPoll *poll, int fd) { control(poll, EPOLL_CTL_DEL, fd, NULL); }

void plain_poll_free(PlainPoll *poll, PlainConnection *c) {
  c->next = poll->old;
  poll->old = c;
  if (!poll->at_work) free_old(poll);
}

void plain_poll_hold(PlainPoll *poll) {
  if (poll->busy++ == 0) uv_ref((uv_handle_t *)&poll->handle);
}

void plain_poll_let_go(PlainPoll *poll) {
  if (--poll->busy == 0) uv_unref((uv_handle_t *)&poll->handle);
}

void plain_poll_close(PlainPoll *poll) {
  if (!poll->open) return;
  poll->open = false;
  uv_close((uv_handle_t *)&poll->handle, NULL);
  close(poll->fd);
}
