#include "redis/redis_link.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* --- slots of calls --- */

enum { SLAB_CALLS = 32 };

typedef struct RedisSlab {
  struct RedisSlab *next;
  RedisCall calls[SLAB_CALLS];
} RedisSlab;

static RedisCall *call_new(RedisLink *link) {
  if (!link->free_calls) {
    RedisSlab *slab = calloc(1, sizeof *slab);
    if (!slab) return NULL;
    slab->next = link->slabs;
    link->slabs = slab;
    for (int i = 0; i < SLAB_CALLS; i++) {
      slab->calls[i].next = link->free_calls;
      link->free_calls = &slab->calls[i];
    }
  }
  RedisCall *call = link->free_calls;
  link->free_calls = call->next;
  return call;
}

static void call_clear(RedisCall *call) {
  redis_block_clear(&call->slices);
  free(call->error);
  call->error = NULL;
}

/* Frees the slot once neither the line nor a task uses it. */
static void call_drop(RedisCall *call) {
  if (call->in_line || call->owned) return;
  call_clear(call);
  call->next = call->link->free_calls;
  call->link->free_calls = call;
}

/* The task of the call has been woken, or no longer waits. */
static void call_settle(RedisCall *call) {
  if (!call->awaited) return;
  call->awaited = false;
  call->link->awaited--;
}

/* If the call is unwritten, it will not be written. */
static void call_withdraw(RedisCall *call) {
  if (!call->in_line || !call->bytes || call->withdrawn) return;
  call->withdrawn = true;
  call->link->withdrawn++;
}

void redis_link_fail_call(RedisCall *call, const char *kind, const char *code, const char *format,
                          ...) {
  if (!call->awaited) return;
  va_list args;
  va_start(args, format);
  if (vasprintf(&call->error, format, args) < 0) call->error = NULL;
  va_end(args);
  call->failed = true;
  snprintf(call->kind, sizeof call->kind, "%s", kind);
  snprintf(call->code, sizeof call->code, "%s", code ? code : "");
  call_settle(call);
  ml_wait_wake(call->waker);
}

void redis_link_release(RedisCall *call) {
  call->owned = false;
  call_drop(call);
}

/* --- the line --- */

void redis_link_shift(RedisLink *link) {
  RedisCall *call = link->first;
  link->first = call->next;
  if (!link->first) link->last = NULL;
  call->in_line = false;
  if (call->awaited) {
    call_settle(call);
    ml_wait_wake(call->waker);
  }
  call_drop(call);
}

void redis_link_compact(RedisLink *link) {
  if (!link->withdrawn) return;
  RedisCall **place = &link->first, *before = NULL;
  while (*place != link->unsent) {
    before = *place;
    place = &before->next;
  }
  char *to = link->out.data;
  const char *from = to;
  for (RedisCall *call; (call = *place);) {
    size_t n = call->bytes;
    if (call->withdrawn) {
      *place = call->next;
      call->in_line = false;
      link->queued--;
      call_drop(call);
    } else {
      if (to != from) memmove(to, from, n);
      to += n;
      place = &call->next;
      before = call;
    }
    from += n;
  }
  link->out.len = (size_t)(to - link->out.data);
  link->last = before;
  link->unsent = NULL;
  link->withdrawn = 0;
  if (!link->queued) return;
  RedisCall *unsent = link->first;
  while (!unsent->bytes) unsent = unsent->next;
  link->unsent = unsent;
}

static RedisCall *enter_line(RedisLink *link, size_t from, unsigned count) {
  RedisCall *call = call_new(link);
  if (!call) {
    link->out.len = from;
    return NULL;
  }
  call->next = NULL;
  call->link = link;
  call->count = call->left = count;
  call->size = 0;
  call->bytes = link->out.len - from;
  call->in_line = true;
  call->owned = call->awaited = call->withdrawn = call->failed = call->unknown = false;
  call->since = runtime_now(link->links->rt); /* Lua may have computed for long in this pass */
  call->due = timer_due(call->since, link->settings->timeout);
  if (link->last)
    link->last->next = call;
  else
    link->first = call;
  link->last = call;
  if (!link->unsent) link->unsent = call;
  link->queued++;
  return call;
}

RedisCall *redis_link_call(RedisLink *link, size_t from, unsigned count, const char *name,
                           Waker waker) {
  RedisCall *call = enter_line(link, from, count);
  if (!call) return NULL;
  call->name = name;
  call->waker = waker;
  call->owned = call->awaited = true;
  link->awaited++;
  redis_link_update(link);
  if (link->state == REDIS_READY)
    redis_link_flush_soon(link);
  else if (link->state == REDIS_OFF)
    redis_link_connect(link);
  return call;
}

bool redis_link_post(RedisLink *link, size_t from, unsigned count) {
  bool ready = link->state == REDIS_READY;
  if (!ready || !enter_line(link, from, count)) {
    link->out.len = from;
    return false;
  }
  redis_link_flush_soon(link);
  return true;
}

void redis_link_abandon(RedisCall *call) {
  RedisLink *link = call->link;
  call_settle(call);
  call->owned = false;
  bool waits = call->in_line;
  call_withdraw(call);
  call_drop(call);
  if (waits && link->leased && !link->subscribed) {
    redis_link_close(link);
    return;
  }
  if (link->state != REDIS_READY) {
    if (!link->awaited) redis_link_drop_connection(link);
    if (link->withdrawn * 2 > link->queued) redis_link_compact(link);
  }
  redis_link_update(link);
}

/* --- time --- */

#define ONE_TURN 1000000 /* nanoseconds: what is due then is not due before the loop has polled */

static void on_deadline(Timer *timer);

static void set_deadline(RedisLink *link) {
  RedisCall *call = link->first;
  while (call && !call->awaited) call = call->next;
  if (call && call->due != TIMER_NEVER)
    timer_set(&link->links->rt->timers, &link->deadline, call->due, on_deadline);
}

void redis_link_update(RedisLink *link) {
  RedisSocket *socket = link->socket;
  bool hold = link->awaited || link->has_reader;
  if (socket && socket->held != hold) {
    socket->held = hold;
    if (hold)
      uv_ref((uv_handle_t *)&socket->stream.tcp);
    else
      uv_unref((uv_handle_t *)&socket->stream.tcp);
  }
  if (!link->awaited)
    timer_clear(&link->links->rt->timers, &link->deadline);
  else if (!link->deadline.place)
    set_deadline(link);
}

static void expire(RedisCall *call) {
  RedisLink *link = call->link;
  double seconds = link->settings->timeout;
  if (!call->bytes) {
    call->unknown = true;
    redis_link_fail_call(call, "timeout", NULL, "no reply from %s within %g s",
                         link->settings->label, seconds);
    return;
  }
  bool away = link->failures && link->why[0];
  redis_link_fail_call(call, away ? link->why_kind : "timeout",
                       away && link->why_code[0] ? link->why_code : NULL,
                       "no connection to %s within %g s%s%s", link->settings->label, seconds,
                       away ? ": " : "", away ? link->why : "");
  call_withdraw(call);
}

static void on_deadline(Timer *timer) {
  RedisLink *link = container_of(timer, RedisLink, deadline);
  uint64_t now = runtime_now(link->links->rt);
  RedisCall *late = link->first;
  while (late && !late->awaited) late = late->next;
  if (late && late->due <= now && late->due != link->overdue) {
    /* The loop looks at its timers first. After a pass that took long, the reply may be there. */
    link->overdue = late->due;
    timer_set(&link->links->rt->timers, timer, now + ONE_TURN, on_deadline);
    return;
  }
  for (RedisCall *call = link->first; call; call = call->next) {
    if (!call->awaited) continue;
    if (call->due > now) break;
    expire(call);
  }
  if (link->state != REDIS_READY) redis_link_compact(link);
  RedisCall *first = link->first;
  uint64_t heard = first && first->since > link->heard_at ? first->since : link->heard_at;
  /* A server that has been silent for so long will not answer. If another server may have taken its
     place, give up sooner. */
  bool replaceable = link->settings->sentinel_count || link->settings->hasty;
  double silence = link->settings->timeout * (replaceable ? 1 : 2);
  if (first && !first->bytes && !link->patient && now >= timer_due(heard, silence))
    redis_link_lost(link, "network", "ETIMEDOUT", "it has said nothing for %g s", silence);
  else if (link->state != REDIS_READY && !link->awaited)
    redis_link_drop_connection(link);
  redis_link_update(link);
}

/* --- life --- */

static void on_runtime_close(CloseHook *hook, Runtime *rt) {
  (void)rt;
  RedisLinks *links = container_of(hook, RedisLinks, close_hook);
  for (RedisLink *link = links->links; link; link = link->next) redis_link_close(link);
}

RedisLinks *redis_link_open_all(Runtime *rt) {
  RedisLinks *links = calloc(1, sizeof *links);
  if (!links) return NULL;
  links->rt = rt;
  links->close_hook.close = on_runtime_close;
  ml_runtime_on_close(rt, &links->close_hook);
  return links;
}

static void figures(PoolSource *source, PoolFigures *f) {
  const RedisLink *link = container_of(source, RedisLink, source);
  bool ready = link->state == REDIS_READY, used = ready && link->awaited;
  *f = (PoolFigures){.system = "redis",
                     .name = link->settings->label,
                     .idle = ready && !used,
                     .used = used,
                     .most = 1,
                     .waiting = ready ? 0 : link->awaited};
}

RedisLink *redis_link_new(RedisLinks *links, const RedisSettings *settings, bool leased,
                          bool patient) {
  RedisLink *link = calloc(1, sizeof *link);
  if (!link) return NULL;
  link->links = links;
  link->settings = settings;
  link->leased = leased;
  link->patient = patient;
  link->place = &links->links;
  link->next = links->links;
  if (link->next) link->next->place = &link->next;
  links->links = link;
  link->source.figures = figures;
  pool_source_add(links->rt, &link->source);
  return link;
}

void redis_link_close(RedisLink *link) {
  if (link->state == REDIS_CLOSED) return;
  redis_link_drop_connection(link);
  link->state = REDIS_CLOSED;
  pool_source_remove(&link->source);
  for (RedisCall *call = link->first; call; call = call->next) {
    call->unknown = !call->bytes;
    redis_link_fail_call(call, "closed", NULL, "the client of %s was closed",
                         link->settings->label);
  }
  while (link->first) redis_link_shift(link);
  link->unsent = NULL;
  link->queued = link->withdrawn = 0;
  buffer_free(&link->out);
  redis_link_update(link);
}

void redis_link_free(RedisLink *link) {
  redis_link_close(link);
  redis_block_clear(&link->messages);
  *link->place = link->next;
  if (link->next) link->next->place = link->place;
  runtime_not_at_pass_end(link->links->rt, &link->flush);
  for (RedisSlab *slab; (slab = link->slabs);) {
    for (int i = 0; i < SLAB_CALLS; i++) call_clear(&slab->calls[i]);
    link->slabs = slab->next;
    free(slab);
  }
  free(link);
}
