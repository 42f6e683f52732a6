#include "http/client/client_poll.h"

#include "base/prefetch.h"
#include "http/client/client_connection.h"
#include "http/client/client_exchange.h"
#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#define EVENTS 256      /* events handed out at a time */
#define MOST_IN_TURN 16 /* times in a row before others on the loop get their turn */

static void free_old(ClientPoll *poll) {
  for (ClientConnection *c; (c = poll->old);) {
    poll->old = c->next;
    client_connection_free(c);
  }
}

/* Prefetches memory for the events after the one at `k`, step by step: the connection, then its
   exchange, then the exchange's buffers and task. */
static void prefetch_events(const struct epoll_event *events, int k, int n) {
  if (k + 3 < n) prefetch(events[k + 3].data.ptr, sizeof(ClientConnection));
  if (k + 2 < n) {
    const ClientConnection *c = events[k + 2].data.ptr;
    const ClientExchange *x = c->exchange;
    if (x) {
      prefetch(x, offsetof(ClientExchange, request));
      prefetch(&x->response, offsetof(ClientResponse, parser));
    }
  }
  if (k + 1 < n) {
    const ClientConnection *c = events[k + 1].data.ptr;
    const ClientExchange *x = c->exchange;
    if (!x) return;
    prefetch(x->response.head.data, 2 * PREFETCH_LINE);
    prefetch(x->response.body.data, PREFETCH_LINE);
    prefetch(x->waker.task, offsetof(Task, parent));
  }
}

/* The set is level-triggered for the loop: remaining events come on its next pass. Its errors are
   those of its sockets, which report them as well. */
static void on_events(uv_poll_t *handle, int status, int what) {
  ClientPoll *poll = handle->data;
  struct epoll_event events[EVENTS];
  int n = EVENTS;
  (void)status;
  (void)what;
  poll->at_work = true;
  for (int i = 0; i < MOST_IN_TURN && n == EVENTS; i++) {
    n = epoll_wait(poll->fd, events, EVENTS, 0);
    for (int k = 0; k < n; k++) {
      prefetch_events(events, k, n);
      client_connection_ready(events[k].data.ptr, events[k].events);
    }
    free_old(poll);
  }
  poll->at_work = false;
}

void client_poll_hand_out(ClientPoll *poll, ClientConnection *c, unsigned events) {
  poll->at_work = true;
  client_connection_ready(c, events);
  free_old(poll);
  poll->at_work = false;
}

static int open_set(ClientPoll *poll, uv_loop_t *loop) {
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

static int control(ClientPoll *poll, int operation, int fd, ClientConnection *c) {
  struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = c};
  return epoll_ctl(poll->fd, operation, fd, &event) ? -errno : 0;
}

int client_poll_add(ClientPoll *poll, uv_loop_t *loop, int fd, ClientConnection *c) {
  int error = poll->open ? 0 : open_set(poll, loop);
  return error ? error : control(poll, EPOLL_CTL_ADD, fd, c);
}

void client_poll_ask_again(ClientPoll *poll, int fd, ClientConnection *c) {
  control(poll, EPOLL_CTL_MOD, fd, c);
}

void client_poll_remove(ClientPoll *poll, int fd) { control(poll, EPOLL_CTL_DEL, fd, NULL); }

void client_poll_free(ClientPoll *poll, ClientConnection *c) {
  c->next = poll->old;
  poll->old = c;
  if (!poll->at_work) free_old(poll);
}

void client_poll_hold(ClientPoll *poll) {
  if (poll->busy++ == 0) uv_ref((uv_handle_t *)&poll->handle);
}

void client_poll_let_go(ClientPoll *poll) {
  if (--poll->busy == 0) uv_unref((uv_handle_t *)&poll->handle);
}

void client_poll_close(ClientPoll *poll) {
  if (!poll->open) return;
  poll->open = false;
  uv_close((uv_handle_t *)&poll->handle, NULL);
  close(poll->fd);
}
