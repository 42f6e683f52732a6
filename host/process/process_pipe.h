/* Our ends of a program's pipes while a task waits for its end: what it prints is read into
   memory, what it is to read is written, without Lua. */
#ifndef ML_PROCESS_PIPE_H
#define ML_PROCESS_PIPE_H

#include "base/buffer.h"

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

/* One end. The fields belong to process_pipe.c, but for `text`, `fd` and `open`. */
typedef struct ProcessPipe {
  uv_poll_t poll;
  int fd;    /* -1: there is none, or it is closed */
  bool open; /* the loop watches it */
  Buffer text;
  const char *bytes; /* to be written: `left` bytes, which the caller keeps */
  size_t left;
  struct ProcessPipeUser *user;
} ProcessPipe;

/* Whom the ends of a program tell what happens. Called from the loop. */
typedef struct ProcessPipeUser {
  unsigned open_handles; /* libuv's: counted here until they are closed */
  /* `n` bytes have come, SIZE_MAX: more than there is memory for. Returns how many of them are
     kept. */
  size_t (*came)(struct ProcessPipeUser *user, size_t n);
  /* The end is closed: nothing more comes, or nothing more can be written. */
  void (*ended)(struct ProcessPipeUser *user, ProcessPipe *pipe);
  /* A handle is closed, and no longer counted. */
  void (*closed)(struct ProcessPipeUser *user);
} ProcessPipeUser;

/* Makes a pipe between us and a program. *theirs blocks, *ours does not; neither is inherited by
   accident. `reads`: the program reads from it. Returns 0 or an errno. */
int process_pipe_make(int *ours, int *theirs, bool reads);

/* Reads into `text` until the other end is closed. Takes over `fd`. Returns 0 or a libuv error, in
   which case it is closed. */
int process_pipe_read(ProcessPipe *pipe, uv_loop_t *loop, int fd, ProcessPipeUser *user);

/* Writes the bytes, then closes the end; a program that does not read them is no error. The same
   otherwise. */
int process_pipe_write(ProcessPipe *pipe, uv_loop_t *loop, int fd, const char *bytes, size_t n,
                       ProcessPipeUser *user);

/* Reads what is there now and no more: the program has ended, and another one may keep its end
   open. */
void process_pipe_take_rest(ProcessPipe *pipe);

/* Closes the end without `ended`; harmless if it is closed. */
void process_pipe_close(ProcessPipe *pipe);

#endif
