/* How a link makes and loses connections. */
#include "redis/redis_link.h"
#include "redis/redis_sentinel.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_WAIT 0.05 /* seconds before the second attempt; doubled for each further one */
#define LONGEST_WAIT 2.0
#define LEAST_ROOM 4096

static Runtime *runtime(const RedisLink *link) { return link->links->rt; }

/* --- the stream --- */

static uv_buf_t room(ByteStream *stream) {
  RedisLink *link = ((RedisSocket *)stream)->link;
  size_t least = link->reply.wants < LEAST_ROOM ? LEAST_ROOM : link->reply.wants;
  if (least > 1 << 20) least = 1 << 20; /* more is reserved once that much has arrived */
  if (!redis_block_reserve(&link->in, least)) {
    redis_link_lost(link, "network", "ENOMEM", "not enough memory for a reply");
    return uv_buf_init(NULL, 0);
  }
  RedisBlock *block = link->in.block;
  return uv_buf_init(block->data + block->len, (unsigned)(block->cap - block->len));
}

static void came(ByteStream *stream, const char *bytes, size_t n) {
  (void)bytes;
  RedisLink *link = ((RedisSocket *)stream)->link;
  if (!link) return;
  link->in.block->len += n;
  link->heard_at = link->links->rt->pass_at;
  redis_link_read(link);
}

/* The connection has failed. A server that is stopped cuts it without TLS's own end, or in the
   middle of a handshake: that is no fault of TLS, and no reply is taken for whole by it. */
static void broken(RedisLink *link, int status) {
  const TlsSession *session = byte_stream_tls(&link->socket->stream);
  if (status == UV_EPROTO && session && session->cut) {
    redis_link_lost(link, "network", "EOF", "%s",
                    session->error ? session->error : uv_strerror(UV_EOF));
  } else if (status == UV_EPROTO && session && session->error) {
    link->fatal = !session->ready; /* its certificate will be the same in a moment */
    redis_link_lost(link, "tls", NULL, "%s", session->error);
  } else {
    redis_link_lost(link, "network", uv_err_name(status), "%s", uv_strerror(status));
  }
}

static void ended(ByteStream *stream, int status) {
  RedisLink *link = ((RedisSocket *)stream)->link;
  if (!link) return;
  if (status == UV_EOF)
    redis_link_lost(link, "network", "EOF", "the server closed the connection");
  else
    broken(link, status);
}

static void written(ByteStream *stream, int status) {
  RedisLink *link = ((RedisSocket *)stream)->link;
  if (!link) return;
  if (status)
    broken(link, status);
  else if (link->out.len)
    redis_link_flush_soon(link);
}

static void closed(ByteStream *stream) { free(stream); }

static const ByteStreamUser stream_user = {
    .room = room, .came = came, .ended = ended, .written = written, .closed = closed};

/* --- writing --- */

/* Marks all unsent calls as written. */
static void note_written(RedisLink *link) {
  for (RedisCall *call = link->unsent; call; call = call->next) {
    call->bytes = 0;
    if (link->patient) call->due = TIMER_NEVER;
  }
  link->unsent = NULL;
  link->queued = 0;
}

static void flush(PassHook *hook, Runtime *rt) {
  (void)rt;
  RedisLink *link = container_of(hook, RedisLink, flush);
  if (link->state != REDIS_READY) return;
  ByteStream *stream = &link->socket->stream;
  if (byte_stream_is_writing(stream)) return; /* `written` schedules it again */
  redis_link_compact(link);
  if (!link->out.len) return;
  ssize_t n = byte_stream_send(stream, link->out.data, link->out.len);
  int error = n < 0 ? (int)n : 0;
  if (!error && (size_t)n < link->out.len) {
    note_written(link);
    error = byte_stream_write(stream, &link->out, (size_t)n);
  } else if (!error) {
    note_written(link);
    link->out.len = 0;
    if (link->out.cap > 64 << 10) buffer_free(&link->out);
  }
  if (error) broken(link, error);
  if (link->patient) redis_link_update(link);
}

void redis_link_flush_soon(RedisLink *link) {
  link->flush.run = flush;
  runtime_at_pass_end(runtime(link), &link->flush);
}

/* --- messages --- */

void redis_link_subscribe(RedisLink *link) { link->subscribed = true; }

RedisSlice *redis_link_next(RedisLink *link, Waker waker) {
  RedisSlice *slice = redis_block_first(&link->messages);
  if (slice || link->state == REDIS_CLOSED) return slice;
  link->reader = waker;
  link->has_reader = true;
  redis_link_update(link);
  return NULL;
}

void redis_link_stop_reading(RedisLink *link) {
  link->has_reader = false;
  redis_link_update(link);
}

void redis_link_taken(RedisLink *link, RedisSlice *slice, size_t n) {
  slice->from += n;
  if (--slice->replies == 0) redis_block_shift(&link->messages);
  link->message_bytes -= n;
  if (link->socket && link->message_bytes < REDIS_LINK_UNREAD / 2)
    byte_stream_resume(&link->socket->stream);
}

/* --- connecting --- */

static void on_pace(Timer *timer) {
  RedisLink *link = container_of(timer, RedisLink, pace);
  if (link->state == REDIS_WAITING)
    redis_link_connect(link);
  else
    redis_link_lost(link, "timeout", "ETIMEDOUT", "no greeting within %g s",
                    link->settings->connect_timeout);
}

/* What is written from now on waits for the end of the handshake. */
static int secure(RedisLink *link) {
  const RedisSettings *s = link->settings;
  const char *name = s->tls_name ? s->tls_name : link->host ? link->host : "localhost";
  return byte_stream_secure(&link->socket->stream, s->tls, name);
}

static void open_socket(RedisLink *link, int fd) {
  RedisSocket *socket = calloc(1, sizeof *socket);
  if (!socket) {
    redis_link_lost(link, "network", "ENOMEM", "not enough memory");
    return;
  }
  socket->link = link;
  socket->held = true;
  link->socket = socket;
  int error = byte_stream_open(&socket->stream, &runtime(link)->loop, fd, &stream_user);
  if (!error && link->settings->tls) error = secure(link);
  if (error) {
    redis_link_lost(link, "network", uv_err_name(error), "%s", uv_strerror(error));
    return;
  }
  if (link->settings->sentinel_count || !link->settings->endpoint.unix_path)
    byte_stream_watch_peer(&socket->stream);
  link->state = REDIS_GREETING;
  link->step = REDIS_HELLO;
  link->demoted = false;
  timer_set(&runtime(link)->timers, &link->pace,
            timer_due(runtime_now(runtime(link)), link->settings->connect_timeout), on_pace);
  if (link->inquiry.asking)
    redis_sentinel_ask(link);
  else
    redis_link_greet(link);
  redis_link_update(link);
}

static void on_dialed(void *data, int result) {
  RedisLink *link = data;
  link->dial = NULL;
  if (result >= 0)
    open_socket(link, result);
  else
    redis_link_lost(link,
                    result <= UV_EAI_ADDRFAMILY && result >= UV_EAI_PROTOCOL ? "dns" : "network",
                    uv_err_name(result), "%s", uv_strerror(result));
}

void redis_link_dial(RedisLink *link, const DialEndpoint *endpoint) {
  link->state = REDIS_DIALING;
  link->host = endpoint->unix_path ? NULL : endpoint->host;
  int result = dial_start(runtime(link), endpoint, on_dialed, link, &link->dial);
  if (result != DIALING) on_dialed(link, result);
}

void redis_link_connect(RedisLink *link) {
  link->fatal = false;
  link->inquiry.asked = 0;
  if (link->settings->sentinel_count)
    redis_sentinel_inquire(link);
  else
    redis_link_dial(link, &link->settings->endpoint);
}

void redis_link_disconnect(RedisLink *link) {
  if (link->dial) dial_cancel(link->dial);
  link->dial = NULL;
  if (link->socket) {
    link->socket->link = NULL;
    byte_stream_close(&link->socket->stream, false);
  }
  link->socket = NULL;
  timer_clear(&runtime(link)->timers, &link->pace);
  redis_block_forget(&link->in);
  redis_reply_begin(&link->reply);
  link->drop = (RedisDrop){0};
}

void redis_link_drop_connection(RedisLink *link) {
  redis_link_disconnect(link);
  link->inquiry.asking = false;
  if (link->state != REDIS_CLOSED) link->state = REDIS_OFF;
  if (link->has_reader) {
    link->has_reader = false;
    ml_wait_wake(link->reader);
  }
}

/* Schedules the next attempt, with exponential backoff and jitter. */
static void wait_and_try(RedisLink *link) {
  double seconds = FIRST_WAIT;
  for (unsigned i = 1; i < link->failures && seconds < LONGEST_WAIT; i++) seconds *= 2;
  uint64_t now = runtime_now(runtime(link));
  double share = 0.5 + (double)((now / 1000 * 2654435761u) % 1000) /
                           2000; /* so that clients do not retry in step */
  link->state = REDIS_WAITING;
  timer_set(&runtime(link)->timers, &link->pace, timer_due(now, seconds * share), on_pace);
}

void redis_link_lost(RedisLink *link, const char *kind, const char *code, const char *format, ...) {
  if (link->state == REDIS_CLOSED) return;
  va_list args;
  va_start(args, format);
  vsnprintf(link->why, sizeof link->why, format, args);
  va_end(args);
  snprintf(link->why_kind, sizeof link->why_kind, "%s", kind);
  snprintf(link->why_code, sizeof link->why_code, "%s", code ? code : "");
  if (redis_sentinel_failed(link)) return;
  redis_link_drop_connection(link);
  link->failures++;
  bool over = link->leased && link->connections;
  bool all = over || link->fatal || link->settings->hasty;
  const char *label = link->settings->label;
  while (link->first && (!link->first->bytes || all)) {
    RedisCall *call = link->first;
    call->unknown = !call->bytes;
    redis_link_fail_call(call, link->why_kind, link->why_code[0] ? link->why_code : NULL,
                         call->unknown ? "the connection to %s was lost: %s" : "%s: %s", label,
                         link->why);
    if (call->withdrawn) link->withdrawn--;
    if (call->bytes) link->queued--;
    redis_link_shift(link);
  }
  if (!link->first) {
    link->unsent = NULL;
    link->out.len = 0;
  }
  link->lost = over;
  if (over)
    redis_link_close(link);
  else if (link->awaited)
    wait_and_try(link);
  else
    redis_link_compact(link);
  redis_link_update(link);
}
