#include "process/process_pipe.h"

#include "base/container_of.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* As much as a pipe holds by default. */
#define CHUNK ((size_t)64 * 1024)

/* Chunks of one pipe in a pass: a program that prints without end does not hold up the others. */
#define CHUNKS_A_PASS 4

int process_pipe_make(int *ours, int *theirs, bool reads) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC)) return errno;
  if (fcntl(ends[reads], F_SETFL, fcntl(ends[reads], F_GETFL) | O_NONBLOCK) == 0) {
    *ours = ends[reads];
    *theirs = ends[!reads];
    return 0;
  }
  int error = errno;
  close(ends[0]);
  close(ends[1]);
  return error;
}

static void on_closed(uv_handle_t *handle) {
  ProcessPipe *pipe = container_of((uv_poll_t *)handle, ProcessPipe, poll);
  pipe->user->open_handles--;
  pipe->user->closed(pipe->user);
}

void process_pipe_close(ProcessPipe *pipe) {
  if (pipe->open) {
    pipe->open = false;
    uv_close((uv_handle_t *)&pipe->poll, on_closed);
  }
  if (pipe->fd >= 0) close(pipe->fd);
  pipe->fd = -1;
}

static void end(ProcessPipe *pipe) {
  process_pipe_close(pipe);
  pipe->user->ended(pipe->user, pipe);
}

static int watch(ProcessPipe *pipe, uv_loop_t *loop, int events, uv_poll_cb callback) {
  int rc = uv_poll_init(loop, &pipe->poll, pipe->fd);
  if (rc == 0) {
    pipe->open = true;
    pipe->user->open_handles++;
    rc = uv_poll_start(&pipe->poll, events, callback);
  }
  if (rc) process_pipe_close(pipe);
  return rc;
}

/* --- what it prints --- */

/* Reads at most `n` bytes. Returns how many; 0 at the end, -1 if nothing is there now. */
static ssize_t take(ProcessPipe *pipe, size_t n) {
  char bytes[CHUNK];
  ssize_t got;
  do got = read(pipe->fd, bytes, n < CHUNK ? n : CHUNK);
  while (got < 0 && errno == EINTR);
  if (got < 0) return errno == EAGAIN ? -1 : 0;
  if (got > 0 && !buffer_add(&pipe->text, bytes, pipe->user->came(pipe->user, (size_t)got)))
    pipe->user->came(pipe->user, SIZE_MAX);
  return got;
}

static void on_readable(uv_poll_t *poll, int status, int events) {
  ProcessPipe *pipe = container_of(poll, ProcessPipe, poll);
  (void)events;
  if (status < 0) {
    end(pipe);
    return;
  }
  for (int i = 0; i < CHUNKS_A_PASS; i++) {
    ssize_t n = take(pipe, CHUNK);
    if (n == 0) end(pipe);
    if (n < (ssize_t)CHUNK) return; /* a short read: the rest, or the end, is an event of its own */
  }
}

int process_pipe_read(ProcessPipe *pipe, uv_loop_t *loop, int fd, ProcessPipeUser *user) {
  pipe->fd = fd;
  pipe->user = user;
  return watch(pipe, loop, UV_READABLE, on_readable);
}

void process_pipe_take_rest(ProcessPipe *pipe) {
  int there = 0;
  if (pipe->fd < 0 || ioctl(pipe->fd, FIONREAD, &there)) return;
  while (there > 0) {
    ssize_t n = take(pipe, (size_t)there);
    if (n <= 0) return;
    there -= (int)n;
  }
}

/* --- what it reads --- */

/* Writes what the pipe takes now. True when nothing is left to write, or to write to. */
static bool give(ProcessPipe *pipe) {
  while (pipe->left > 0) {
    ssize_t n = write(pipe->fd, pipe->bytes, pipe->left);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno != EAGAIN;
    pipe->bytes += n;
    pipe->left -= (size_t)n;
  }
  return true;
}

static void on_writable(uv_poll_t *poll, int status, int events) {
  ProcessPipe *pipe = container_of(poll, ProcessPipe, poll);
  (void)events;
  if (status < 0 || give(pipe)) end(pipe);
}

int process_pipe_write(ProcessPipe *pipe, uv_loop_t *loop, int fd, const char *bytes, size_t n,
                       ProcessPipeUser *user) {
  pipe->fd = fd;
  pipe->user = user;
  pipe->bytes = bytes;
  pipe->left = n;
  if (!give(pipe)) return watch(pipe, loop, UV_WRITABLE, on_writable);
  process_pipe_close(pipe);
  return 0;
}
