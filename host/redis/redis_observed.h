/* What observers (observe.h) are told of commands. */
#ifndef ML_REDIS_OBSERVED_H
#define ML_REDIS_OBSERVED_H

#include "redis/redis_link.h"

/* The running task waits for the call, which runs `count` commands. */
void redis_observed_begin(RedisCall *call, unsigned count);

/* Its replies are there, or it has failed; `error`: the kind of its error, "cancelled", or NULL.
   Does nothing for one that is not observed. */
void redis_observed_end(RedisCall *call, const char *error);

#endif
