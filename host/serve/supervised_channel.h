/* A worker's end of what the workers of a server say to each other (child_channel.h). What is sent
   in a pass leaves at its end, in one piece, and nothing waits. */
#ifndef ML_SUPERVISED_CHANNEL_H
#define ML_SUPERVISED_CHANNEL_H

#include "base/buffer.h"
#include "core/runtime.h"
#include "core/waiters.h"

/* Bytes on their way at which senders may wait. */
#define SUPERVISED_CHANNEL_HIGH ((size_t)1 << 20)

/* Called from the loop with a message of another worker. */
typedef void SupervisedMessage(void *data, const char *bytes, size_t n);

typedef struct SupervisedChannel {
  bool is_open;
  bool loses; /* more waits than may, and messages are dropped */
  Runtime *rt;
  SupervisedMessage *came;
  void *data;
  uv_pipe_t pipe;
  Buffer in;    /* the message that is not whole yet */
  Buffer out;   /* what was sent in this pass */
  Waiters line; /* tasks that wait until less than SUPERVISED_CHANNEL_HIGH is on its way */
  PassHook pass_end;
  CloseHook close;
} SupervisedChannel;

/* Opens it, once: from now on `came(data, ...)` gets the others' messages, in the order in which
   each of them has sent its own. `c` was all zero and lives until runtime_close has returned, which
   closes it; it does not keep the loop alive. Returns 0 or a libuv error. */
int supervised_channel_open(SupervisedChannel *c, Runtime *rt, SupervisedMessage *came, void *data);

/* Sends a message, `n_parts` pieces one after the other, to all other workers that have opened
   theirs. At most CHANNEL_MESSAGE_MAX bytes. It is lost where memory is out, or the supervisor does
   not take them: the latter is said on standard error. */
void supervised_channel_send(SupervisedChannel *c, const struct iovec *parts, size_t n_parts);

/* Bytes that the supervisor has not taken. */
size_t supervised_channel_queued(const SupervisedChannel *c);

#endif
