#include "serve/child_channel.h"

#include "serve/channel_frames.h"
#include "serve/child.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define ROOM ((size_t)64 * 1024)

/* Bytes on their way to several workers; freed when the last has them. */
typedef struct Parcel {
  unsigned refs;
  size_t n;
  char bytes[];
} Parcel;

typedef struct Delivery {
  uv_write_t request;
  Parcel *parcel;
} Delivery;

static void drop(Parcel *parcel) {
  if (--parcel->refs == 0) free(parcel);
}

static void say_lost(Child *to) {
  char line[200];
  snprintf(line, sizeof line,
           "worker %u (pid %d) does not take what the others publish: it loses messages of hubs",
           to->number, to->process.pid);
  error_lines_say(to->owner->errors, LOG_WARN, line);
}

static void on_delivered(uv_write_t *request, int status) {
  Delivery *d = (Delivery *)request;
  Child *to = request->handle->data;
  (void)status;
  if (!uv_stream_get_write_queue_size(request->handle)) to->channel.loses = false;
  drop(d->parcel);
  free(d);
}

static void deliver(Child *to, Parcel *parcel) {
  uv_stream_t *pipe = (uv_stream_t *)&to->channel.pipe;
  if (to->channel.loses || uv_stream_get_write_queue_size(pipe) > CHANNEL_QUEUED_MAX) {
    if (!to->channel.loses) say_lost(to);
    to->channel.loses = true;
    return;
  }
  Delivery *d = malloc(sizeof *d);
  if (!d) return;
  d->parcel = parcel;
  parcel->refs++;
  uv_buf_t bytes = uv_buf_init(parcel->bytes, (unsigned)parcel->n);
  if (uv_write(&d->request, pipe, &bytes, 1, on_delivered) == 0) return;
  drop(parcel); /* it is ending */
  free(d);
}

/* A worker's first message says only that it wants the others'. It counts from when it was sent: it
   may be here, and not read yet, when another's message is. */
static bool has_greeted(Child *w) {
  ChildChannel *c = &w->channel;
  char head[CHANNEL_HEAD];
  uv_os_fd_t fd;
  if (c->wants || c->has_spoken) return c->wants;
  if (uv_fileno((uv_handle_t *)&c->pipe, &fd) == 0 &&
      recv(fd, head, sizeof head, MSG_PEEK | MSG_DONTWAIT) == sizeof head)
    c->wants = memcmp(head, CHANNEL_HELLO, sizeof head) == 0;
  return c->wants;
}

/* Passes on `n` bytes of whole messages. */
static void pass_on(Child *from, const char *bytes, size_t n) {
  Parcel *parcel = NULL;
  for (Child *w = from->owner->first; w; w = w->next) {
    if (w == from || !has_greeted(w)) continue;
    if (!parcel) {
      parcel = malloc(sizeof *parcel + n);
      if (!parcel) return;
      *parcel = (Parcel){.refs = 1, .n = n};
      memcpy(parcel->bytes, bytes, n);
    }
    deliver(w, parcel);
  }
  if (parcel) drop(parcel);
}

static size_t take_hello(Child *w, const char *bytes, size_t n) {
  if (w->channel.has_spoken || n < CHANNEL_HEAD) return 0;
  w->channel.has_spoken = true;
  if (memcmp(bytes, CHANNEL_HELLO, CHANNEL_HEAD) != 0) return 0;
  w->channel.wants = true;
  return CHANNEL_HEAD;
}

/* False: it does not keep to the form, and nothing more is read from it. */
static bool take(Child *w) {
  Buffer *come = &w->channel.come;
  size_t whole;
  if (!channel_frames_whole(come->data, come->len, &whole)) return false;
  if (!whole) return true; /* of a long one, nothing is moved */
  size_t hello = take_hello(w, come->data, whole);
  if (whole > hello) pass_on(w, come->data + hello, whole - hello);
  if (whole == come->len && come->cap > 2 * ROOM) {
    buffer_free(come);
  } else {
    memmove(come->data, come->data + whole, come->len - whole);
    come->len -= whole;
  }
  return true;
}

static void alloc_room(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer) {
  Child *w = handle->data;
  Buffer *come = &w->channel.come;
  (void)suggested;
  bool ok = buffer_reserve(come, ROOM);
  *buffer = uv_buf_init(ok ? come->data + come->len : NULL, ok ? (unsigned)ROOM : 0);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buffer) {
  Child *w = stream->data;
  (void)buffer;
  if (n > 0) w->channel.come.len += (size_t)n;
  if (n >= 0 && take(w)) return;
  w->channel.wants = false;
  w->channel.has_spoken = true;
  uv_read_stop(stream);
}

int child_channel_open(ChildChannel *c, int fd) {
  int rc = uv_pipe_open(&c->pipe, fd);
  if (rc) {
    close(fd);
    return rc;
  }
  return uv_read_start((uv_stream_t *)&c->pipe, alloc_room, on_read);
}

void child_channel_free(ChildChannel *c) { buffer_free(&c->come); }
