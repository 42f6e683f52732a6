#include "http_plain_poll.h"

#include "http_plain_connection.h"
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
    for (int k = 0; k < n; k++) plain_connection_ready(events[k].data.ptr, events[k].events);
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
