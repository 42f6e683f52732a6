/* The commands that begin each connection: HELLO 3 with user, password and name (AUTH and CLIENT
   SETNAME if the server does not know HELLO, or RESP2 was asked for), SELECT, and ROLE if sentinels
   named the server as the master. */
#include "redis/redis_command.h"
#include "redis/redis_link.h"
#include "redis/redis_sentinel.h"
#include "redis/redis_value.h"

#include <stdio.h>
#include <string.h>

static bool add(Buffer *b, const char *text) { return redis_command_add(b, text, strlen(text)); }

static bool add_hello(Buffer *b, const RedisSettings *s) {
  unsigned n = 2 + (s->password ? 3 : 0) + (s->name ? 2 : 0);
  bool ok = redis_command_begin(b, n) && add(b, "HELLO") && add(b, "3");
  if (s->password)
    ok = ok && add(b, "AUTH") &&
         redis_command_add(b, s->user ? s->user : "default", s->user ? s->user_len : 7) &&
         redis_command_add(b, s->password, s->password_len);
  if (s->name) ok = ok && add(b, "SETNAME") && redis_command_add(b, s->name, s->name_len);
  return ok;
}

static bool add_auth(Buffer *b, const RedisSettings *s) {
  return redis_command_begin(b, s->user ? 3 : 2) && add(b, "AUTH") &&
         (!s->user || redis_command_add(b, s->user, s->user_len)) &&
         redis_command_add(b, s->password, s->password_len);
}

static bool add_name(Buffer *b, const RedisSettings *s) {
  return redis_command_begin(b, 3) && add(b, "CLIENT") && add(b, "SETNAME") &&
         redis_command_add(b, s->name, s->name_len);
}

static bool add_select(Buffer *b, const RedisSettings *s) {
  char database[16];
  snprintf(database, sizeof database, "%d", s->database);
  return redis_command_begin(b, 2) && add(b, "SELECT") && add(b, database);
}

static bool add_role(Buffer *b, const RedisSettings *s) {
  (void)s;
  return redis_command_begin(b, 1) && add(b, "ROLE");
}

/* Does this step need no command? */
static bool skips(const RedisLink *link) {
  const RedisSettings *s = link->settings;
  switch (link->step) {
  case REDIS_HELLO:
    return s->protocol == 2;
  case REDIS_AUTH:
    return link->resp3 || !s->password;
  case REDIS_SETNAME:
    return link->resp3 || !s->name;
  case REDIS_SELECT:
    return !s->database;
  case REDIS_ROLE:
    return !s->sentinel_count;
  default:
    return false;
  }
}

static void ready(RedisLink *link) {
  timer_clear(&link->links->rt->timers, &link->pace);
  link->state = REDIS_READY;
  link->failures = 0;
  link->connections++;
  redis_link_compact(link);
  redis_link_flush_soon(link);
}

void redis_link_greet(RedisLink *link) {
  static bool (*const adds[])(Buffer *, const RedisSettings *) = {
      [REDIS_HELLO] = add_hello,   [REDIS_AUTH] = add_auth, [REDIS_SETNAME] = add_name,
      [REDIS_SELECT] = add_select, [REDIS_ROLE] = add_role,
  };
  if (link->step == REDIS_HELLO) link->resp3 = false;
  while (skips(link)) link->step++;
  if (link->step == REDIS_GREETED) {
    ready(link);
    return;
  }
  Buffer b = {0};
  bool ok = adds[link->step](&b, link->settings);
  ssize_t n = ok ? byte_stream_send(&link->socket->stream, b.data, b.len) : UV_ENOMEM;
  int error = n < 0 ? (int)n : 0;
  if (!error && (size_t)n < b.len) error = byte_stream_write(&link->socket->stream, &b, (size_t)n);
  buffer_free(&b);
  if (error) redis_link_lost(link, "network", uv_err_name(error), "%s", uv_strerror(error));
}

static bool begins(const char *text, size_t n, const char *with) {
  return n >= strlen(with) && !memcmp(text, with, strlen(with));
}

const char *redis_link_without(const char *text, size_t *n, const char *secret, size_t len) {
  static const char hidden[] = "what the server says is not shown, as it repeats the password";
  if (!secret || !len || !memmem(text, *n, secret, len)) return text;
  *n = sizeof hidden - 1;
  return hidden;
}

/* The server refused the connection. The first word of its message is the code. */
static void refuse(RedisLink *link, const char *kind, const char *text, size_t n) {
  const RedisSettings *s = link->settings;
  char said[160], code[24];
  const char *blank = memchr(text, ' ', n);
  size_t word = blank ? (size_t)(blank - text) : n;
  const char *first = redis_link_without(text, &word, s->password, s->password_len);
  snprintf(code, sizeof code, "%.*s", (int)word, first == text ? text : "ERR");
  text = redis_link_without(text, &n, s->password, s->password_len);
  snprintf(said, sizeof said, "%.*s", (int)(n < sizeof said ? n : sizeof said - 1), text);
  redis_link_lost(link, kind, code, "%s", said);
}

/* Does the reply to ROLE say master? Sentinels that missed a failover still name the old master. */
static bool is_master(const char *bytes) {
  if (*bytes != '*' || bytes[1] == '0') return false;
  return !strncmp(strchr(bytes, '\n') + 1, "$6\r\nmaster", 10);
}

void redis_link_greeted(RedisLink *link, const char *bytes) {
  if (link->inquiry.asking) {
    redis_sentinel_answered(link, bytes);
    return;
  }
  if (!redis_value_is_error(bytes)) {
    if (link->step == REDIS_HELLO) link->resp3 = true;
    if (link->step == REDIS_ROLE && !is_master(bytes)) {
      redis_link_lost(link, "network", "READONLY", "the server at %s:%u is a replica",
                      link->inquiry.host, link->inquiry.port);
      return;
    }
    link->step++;
    redis_link_greet(link);
    return;
  }
  size_t n;
  const char *text = redis_value_error_text(bytes, &n);
  if (link->step == REDIS_ROLE ||
      (link->step == REDIS_HELLO &&
       (begins(text, n, "ERR unknown command") || begins(text, n, "NOPROTO")))) {
    link->step++;
    redis_link_greet(link);
    return;
  }
  bool is_auth = begins(text, n, "WRONGPASS") || begins(text, n, "NOAUTH") ||
                 begins(text, n, "NOPERM") || begins(text, n, "ERR AUTH") ||
                 begins(text, n, "ERR invalid password") || begins(text, n, "ERR Client sent AUTH");
  /* These refusals may pass. */
  bool passes = begins(text, n, "LOADING") || begins(text, n, "BUSY") ||
                begins(text, n, "MASTERDOWN") || begins(text, n, "ERR max number of clients");
  link->fatal = !passes;
  if (is_auth)
    refuse(link, "auth", text, n);
  else
    refuse(link, "redis", text, n);
}
