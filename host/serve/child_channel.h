/* The supervisor's part of what workers say to each other: whole messages of one (channel_frames.h)
   go to all others that want them, those of an ending generation among them. Nothing waits: a
   worker that does not read loses messages, and the others get theirs. */
#ifndef ML_CHILD_CHANNEL_H
#define ML_CHILD_CHANNEL_H

#include "base/buffer.h"

#include <stdbool.h>
#include <uv.h>

struct Child;

typedef struct ChildChannel {
  uv_pipe_t pipe;  /* `data` is the Child */
  Buffer come;     /* the message that is not whole yet */
  bool has_spoken; /* its first message has been read */
  bool wants;      /* to get the others' messages */
  bool loses;      /* it is behind, and messages to it are dropped */
} ChildChannel;

/* Takes over our end of the socket pair, and begins to read. The pipe has been initialized. Returns
   0 or a libuv error. */
int child_channel_open(ChildChannel *c, int fd);

/* Frees what is kept, when the pipe is closed. */
void child_channel_free(ChildChannel *c);

#endif
