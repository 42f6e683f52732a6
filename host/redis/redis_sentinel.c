#include "redis/redis_sentinel.h"

#include "redis/redis_command.h"
#include "redis/redis_reply.h"
#include "redis/redis_value.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const RedisSentinel *sentinel(const RedisLink *link) {
  return &link->settings->sentinels[link->inquiry.sentinel];
}

static bool add(Buffer *b, const char *text) { return redis_command_add(b, text, strlen(text)); }

static bool add_auth(Buffer *b, const RedisSentinel *s) {
  return redis_command_begin(b, s->user ? 3 : 2) && add(b, "AUTH") &&
         (!s->user || redis_command_add(b, s->user, s->user_len)) &&
         redis_command_add(b, s->password, s->password_len);
}

static bool add_question(Buffer *b, const RedisSettings *s) {
  return redis_command_begin(b, 3) && add(b, "SENTINEL") && add(b, "get-master-addr-by-name") &&
         add(b, s->master);
}

void redis_sentinel_inquire(RedisLink *link) {
  link->inquiry.asking = true;
  link->inquiry.logged_in = false;
  link->inquiry.asked++;
  redis_link_dial(link, &sentinel(link)->endpoint);
}

void redis_sentinel_ask(RedisLink *link) {
  const RedisSentinel *s = sentinel(link);
  Buffer b = {0};
  bool logs_in = s->password && !link->inquiry.logged_in;
  bool ok = logs_in ? add_auth(&b, s) : add_question(&b, link->settings);
  ssize_t n = ok ? byte_stream_send(&link->socket->stream, b.data, b.len) : UV_ENOMEM;
  int error = n < 0 ? (int)n : 0;
  if (!error && (size_t)n < b.len) error = byte_stream_write(&link->socket->stream, &b, (size_t)n);
  buffer_free(&b);
  if (error) redis_link_lost(link, "network", uv_err_name(error), "%s", uv_strerror(error));
}

/* Copies the string at *p and moves *p past it. False if it is not a string, or too long for `to`.
 */
static bool take_text(const char **p, char *to, size_t size) {
  if (**p != '$' || (*p)[1] == '-') return false;
  size_t n = (size_t)redis_reply_number(*p + 1);
  const char *text = strchr(*p, '\n') + 1;
  *p = text + n + 2;
  if (!n || n >= size || memchr(text, 0, n)) return false;
  memcpy(to, text, n);
  to[n] = 0;
  return true;
}

static bool take_address(RedisLink *link, const char *bytes) {
  char port[8];
  if (strncmp(bytes, "*2\r\n", 4) != 0) return false;
  bytes += 4;
  if (!take_text(&bytes, link->inquiry.host, sizeof link->inquiry.host) ||
      !take_text(&bytes, port, sizeof port))
    return false;
  long number = strtol(port, NULL, 10);
  link->inquiry.port = (uint16_t)number;
  return number > 0 && number <= UINT16_MAX;
}

void redis_sentinel_answered(RedisLink *link, const char *bytes) {
  if (redis_value_is_error(bytes)) {
    size_t n;
    const char *text = redis_value_error_text(bytes, &n);
    text = redis_link_without(text, &n, sentinel(link)->password, sentinel(link)->password_len);
    redis_link_lost(link, "network", "ESENTINEL", "the sentinel %s says: %.*s",
                    sentinel(link)->label, n < 100 ? (int)n : 100, text);
  } else if (sentinel(link)->password && !link->inquiry.logged_in) {
    link->inquiry.logged_in = true;
    redis_sentinel_ask(link);
  } else if (take_address(link, bytes)) {
    redis_link_disconnect(link);
    link->inquiry.asking = false;
    redis_link_dial(link, &(DialEndpoint){.host = link->inquiry.host, .port = link->inquiry.port});
  } else {
    redis_link_lost(link, "network", "ESENTINEL", "the sentinel %s knows no master named '%s'",
                    sentinel(link)->label, link->settings->master);
  }
}

bool redis_sentinel_failed(RedisLink *link) {
  if (!link->inquiry.asking) return false;
  link->inquiry.sentinel = (link->inquiry.sentinel + 1) % link->settings->sentinel_count;
  if (link->inquiry.asked >= link->settings->sentinel_count || !link->awaited) return false;
  redis_link_disconnect(link);
  redis_sentinel_inquire(link);
  return true;
}
