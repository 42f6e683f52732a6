/* Connecting to a host: looks its name up and tries its addresses in turn, a new one whenever one
   has failed or has taken a quarter of a second, until the first answers (RFC 8305). */
#ifndef ML_DIAL_H
#define ML_DIAL_H

#include "core/runtime.h"
#include <sys/socket.h>

#define DIAL_SECONDS 10 /* for the whole dial, where nothing else is said */

typedef struct Dial Dial;

/* Where to connect to. */
typedef struct DialEndpoint {
  const char *host; /* a name or an address */
  uint16_t port;
  const char *unix_path;        /* or NULL; if set, the two fields above are ignored */
  const char *addresses;        /* with a line feed after each, instead of the host's; or NULL */
  double seconds;               /* for the whole dial; 0: DIAL_SECONDS; HUGE_VAL: no limit */
  const struct sockaddr *local; /* of ours, without a port, that must live until then; or NULL */
} DialEndpoint;

/* The result of dialing: a descriptor (0 or more), which the caller owns; or a libuv error:
   UV_EAI_* if the name could not be looked up, UV_ETIMEDOUT if the time was over. */
typedef void Dialed(void *data, int result);

/* Returned by dial_start if `done` will be called. */
#define DIALING (-1000000)

/* Starts to connect. Returns DIALING: then `done` is called once, from the loop, with the
   result, and `*dial` is gone; or the result at once. The strings of `endpoint` must live until
   then. */
int dial_start(Runtime *rt, const DialEndpoint *endpoint, Dialed *done, void *data, Dial **dial);

/* Cancels it: `done` is not called. A look-up that cannot be stopped is ignored when it ends. */
void dial_cancel(Dial *dial);

#endif
