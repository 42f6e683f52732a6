/* redis_link.h: what comes of a server. Replies that are too large, or that nobody waits for any
   more, are dropped while they come. */
#include "redis/redis_link.h"

#include <string.h>

/* Bytes of a reply to the commands that begin a connection. */
#define MOST_GREETING (1 << 20)

/* --- replies that are dropped --- */

static bool fits(const RedisLink *link, const RedisCall *call, size_t n) {
  return n <= link->settings->max_reply && call->size <= link->settings->max_reply - n;
}

static void refuse(RedisLink *link, RedisCall *call) {
  redis_link_fail_call(call, "limit", NULL, "its reply is larger than max_reply (%zu bytes)",
                       link->settings->max_reply);
  redis_block_clear(&call->slices);
}

/* A reply that is dropped has come to its end. */
static void end_drop(RedisLink *link) {
  RedisCall *call = link->first;
  bool is_push = link->drop.type == '>';
  link->drop = (RedisDrop){0};
  redis_reply_begin(&link->reply);
  if (!is_push && call && --call->left == 0) redis_link_shift(link);
}

/* Drops what is there of the reply at in->from, but for the line of a value that is incomplete. */
static void drop(RedisLink *link) {
  RedisReply *reply = &link->reply;
  RedisDrop *d = &link->drop;
  RedisInput *in = &link->in;
  if (!d->type) d->type = in->block->data[in->from];
  d->string = reply->wants;
  size_t n = d->string ? in->block->len - in->from : reply->at;
  in->from += n;
  d->size += n;
  reply->looked = reply->looked > n ? reply->looked - n : 0;
  reply->at = 0;
}

/* Steps over the string that is dropped. Is the reply over? */
static bool drop_string(RedisLink *link) {
  RedisDrop *d = &link->drop;
  RedisInput *in = &link->in;
  size_t there = in->block->len - in->from, n = d->string < there ? d->string : there;
  in->from += n;
  d->size += n;
  link->reply.wants = d->string -= n;
  return !d->string && redis_reply_pass_string(&link->reply);
}

/* The greeting, or a message, has so many bytes at least. False: that is too long, and the
   connection is gone. */
static bool is_short(RedisLink *link, size_t n) {
  bool is_message = link->state != REDIS_GREETING;
  if (n <= (is_message ? link->settings->max_reply : MOST_GREETING)) return true;
  if (is_message)
    redis_link_lost(link, "limit", NULL, "a message is larger than max_reply (%zu bytes)",
                    link->settings->max_reply);
  else
    redis_link_lost(link, "network", "EMSGSIZE", "its greeting is too long");
  return false;
}

/* More of a reply is to come. The connection may be gone afterwards. */
static void look_at_size(RedisLink *link) {
  RedisCall *call = link->first;
  size_t size = link->in.block->len - link->in.from + link->reply.wants;
  if (link->state == REDIS_GREETING || link->subscribed) {
    is_short(link, size);
    return;
  }
  bool is_push = link->in.block->data[link->in.from] == '>' && !link->drop.type;
  if (call && !is_push && call->awaited && !fits(link, call, size)) refuse(link, call);
  if (link->drop.type || is_push || !call || !call->awaited) drop(link);
  if (link->drop.size > REDIS_REPLY_MAX)
    redis_link_lost(link, "network", "EPROTO", "it sends a reply that is too long");
}

/* --- replies --- */

/* Handles a complete reply of `n` bytes. False when out of memory. */
static bool deliver(RedisLink *link, size_t n) {
  const char *bytes = link->in.block->data + link->in.from;
  bool is_greeting = link->state == REDIS_GREETING;
  if ((is_greeting || link->subscribed) && !is_short(link, n)) return true;
  if (is_greeting) {
    if (*bytes != '>') redis_link_greeted(link, bytes);
    return true;
  }
  if (link->subscribed) {
    if (!redis_block_add(&link->messages, &link->in, n)) return false;
    link->message_bytes += n;
    return true;
  }
  if (*bytes == '>') return true; /* a push that nobody asked for */
  if (*bytes == '-' && link->settings->sentinel_count && !strncmp(bytes + 1, "READONLY", 8))
    link->demoted = true;
  RedisCall *call = link->first;
  if (!call || call->bytes) {
    redis_link_lost(link, "network", "EPROTO", "the server sent a reply that nothing asked for");
    return true;
  }
  if (call->awaited && !fits(link, call, n)) refuse(link, call);
  if (call->awaited && !redis_block_add(&call->slices, &link->in, n)) return false;
  call->size += n;
  if (--call->left == 0) redis_link_shift(link);
  return true;
}

/* Reads the next reply. False: there is none, or the connection is gone. */
static bool read_one(RedisLink *link) {
  RedisSocket *socket = link->socket;
  RedisBlock *block = link->in.block;
  if (link->drop.string) {
    if (drop_string(link)) end_drop(link);
    return true;
  }
  RedisReplyStep step =
      redis_reply_scan(&link->reply, block->data + link->in.from, block->len - link->in.from);
  if (step == REDIS_REPLY_BAD) {
    redis_link_lost(link, "network", "EPROTO", "its reply is not valid Redis protocol: %s",
                    link->reply.error);
    return false;
  }
  if (step == REDIS_REPLY_MORE) {
    look_at_size(link);
    return false;
  }
  size_t n = link->reply.at;
  if (link->drop.type) {
    link->in.from += n;
    end_drop(link);
    return true;
  }
  redis_reply_begin(&link->reply);
  if (!deliver(link, n)) {
    redis_link_lost(link, "network", "ENOMEM", "not enough memory for a reply");
    return false;
  }
  if (link->socket == socket) link->in.from += n;
  return true;
}

void redis_link_read(RedisLink *link) {
  RedisSocket *socket = link->socket;
  while (link->socket == socket && link->in.from < link->in.block->len && read_one(link)) continue;
  if (link->socket != socket) return;
  if (link->demoted) {
    redis_link_lost(link, "network", "READONLY", "the server has become a replica");
    return;
  }
  if (link->has_reader && redis_block_first(&link->messages)) {
    link->has_reader = false;
    ml_wait_wake(link->reader);
  }
  if (link->message_bytes > REDIS_LINK_UNREAD) byte_stream_pause(&socket->stream);
  redis_link_update(link);
}
