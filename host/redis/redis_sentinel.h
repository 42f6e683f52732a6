/* Finds the master: before each connection of a link, sentinels are asked for its address, one
   after the other until one knows it. That one is asked first the next time. */
#ifndef ML_REDIS_SENTINEL_H
#define ML_REDIS_SENTINEL_H

#include "redis/redis_link.h"

/* Connects to the current sentinel to ask it for the master. */
void redis_sentinel_inquire(RedisLink *link);

/* Connected to a sentinel: sends AUTH if it has a password, or the question. */
void redis_sentinel_ask(RedisLink *link);

/* Handles its answer. */
void redis_sentinel_answered(RedisLink *link, const char *bytes);

/* The current sentinel did not help. True if the next one is being asked. */
bool redis_sentinel_failed(RedisLink *link);

#endif
