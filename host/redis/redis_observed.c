#include "redis/redis_observed.h"

#include "core/observe.h"

void redis_observed_begin(RedisCall *call, unsigned count) {
  const RedisLink *link = call->link;
  Runtime *rt = link->links->rt;
  Observation *o = observe_new(rt, OBSERVED_REDIS, rt->scheduler.current);
  if (!o) return;
  o->redis =
      (ObservedRedis){.command = call->name, .count = count, .server = link->settings->label};
  call->observed = o;
  observe_began(o);
}

void redis_observed_end(RedisCall *call, const char *error) {
  if (!call->observed) return;
  call->observed->redis.error = error;
  observe_ended(&call->observed);
}
