/* The ends of a WebSocket: the closing handshake, failures, pings that nobody answers: for
 * ws_link.h.
 */
#include "base/utf8.h"
#include "websocket/ws_link.h"

#include <math.h>
#include <stdlib.h>

enum { FIN = 0x80 };

static TimerHeap *timers(WsLink *link) { return &link->shared->rt->timers; }

static void on_timer(Timer *timer);

static void set_timer(WsLink *link, uint64_t from, double seconds) {
  uint64_t due = timer_due(from, seconds);
  if (due == TIMER_NEVER)
    timer_clear(timers(link), &link->timer);
  else
    timer_set(timers(link), &link->timer, due, on_timer);
}

void ws_link_arm(WsLink *link) { set_timer(link, runtime_now(link->shared->rt), link->ping); }

static void keep_reason(WsLink *link, const char *reason, size_t n) {
  if (!n || link->reason || !(link->reason = malloc(n))) return;
  memcpy(link->reason, reason, n);
  link->reason_len = n;
}

/* What its receiver is told; the first cause counts. */
static void note(WsLink *link, unsigned code, const char *reason, size_t n) {
  if (link->code) return;
  link->code = code;
  keep_reason(link, reason, n);
}

/* Nothing can be sent any more. */
static void leave(WsLink *link) {
  if (link->left) link->left(link);
  link->left = NULL;
}

static void forget(WsLink *link) {
  link->phase = WS_OVER;
  timer_clear(timers(link), &link->timer);
  ws_reader_free(&link->in);
  buffer_free(&link->out);
  ws_link_forget_pending(link);
  ws_link_note(link);
  if (link->deflater && !(link->first && link->deflate.peer_takeover)) {
    ws_deflate_free(link->deflater);
    free(link->deflater);
    link->deflater = NULL;
  }
  leave(link);
  ws_link_tell(link);
  waiters_wake_all(&link->line);
}

static void end(WsLink *link, bool reset) {
  forget(link);
  link->carrier->released(link, reset);
}

void ws_link_lose(WsLink *link, const char *why, bool reset) {
  if (link->phase == WS_OVER) return;
  link->was_lost = !link->code;
  note(link, WS_CODE_LOST, why, strlen(why));
  end(link, reset);
}

void ws_link_cut(WsLink *link) {
  if (link->phase == WS_OVER) return;
  note(link, WS_CODE_LOST, "", 0);
  forget(link);
}

void ws_link_abort(WsLink *link) {
  if (link->phase == WS_OVER) return;
  note(link, WS_CODE_LOST, "", 0);
  end(link, true);
}

static void ended(WsLink *link, int status) {
  if (link->phase == WS_OVER) return;
  if (link->phase >= WS_ANSWERING)
    end(link, status != UV_EOF);
  else
    ws_link_lose(link,
                 status == UV_EOF ? "the connection has ended without a Close frame"
                                  : uv_strerror(status),
                 status != UV_EOF);
}

void ws_link_ended(WsLink *link, int status) {
  link->refs++; /* the carrier may drop it at its end */
  if (link->phase != WS_OVER && link->is_ending) ws_link_end_now(link);
  ended(link, status);
  ws_link_drop(link);
}

/* What is still to be read is read, even if nobody receives, since the end is behind it. */
static void close_begins(WsLink *link, WsPhase phase) {
  link->phase = phase;
  link->is_ending = false;
  set_timer(link, runtime_now(link->shared->rt), link->close_timeout);
  if (link->is_paused) byte_stream_resume(link->bytes);
  link->is_paused = false;
  leave(link);
  ws_link_tell(link);
  waiters_wake_all(&link->line);
}

static void queue_close(WsLink *link, unsigned code, const char *reason, size_t n) {
  char payload[WS_CONTROL_MAX] = {(char)(code >> 8), (char)code};
  n = utf8_cut(reason, n, WS_CONTROL_MAX - 2);
  if (n) memcpy(payload + 2, reason, n);
  ws_link_queue_frame(link, FIN | WS_CLOSE, payload, code ? 2 + n : 0);
}

void ws_link_end_later(WsLink *link, WsInbound *farewell) {
  link->is_ending = true;
  link->farewell = farewell;
  set_timer(link, runtime_now(link->shared->rt), link->close_timeout);
}

void ws_link_end_now(WsLink *link) {
  link->is_ending = false;
  if (link->farewell)
    ws_link_peer_closes(link, link->farewell->bytes, link->farewell->len);
  else
    ws_link_fail(link, link->in.code, link->in.why);
}

void ws_link_close(WsLink *link, unsigned code, const char *reason, size_t n) {
  if (link->is_ending) ws_link_end_now(link);
  if (link->phase != WS_OPEN) return;
  queue_close(link, code, reason, n);
  close_begins(link, WS_CLOSING);
}

void ws_link_peer_closes(WsLink *link, const char *payload, size_t n) {
  unsigned failure;
  const char *why;
  unsigned code = ws_reader_close_code(payload, n, &failure, &why);
  if (!code) {
    ws_link_fail(link, failure, why);
    return;
  }
  note(link, code, n ? payload + 2 : "", n ? n - 2 : 0);
  if (link->phase == WS_OPEN) queue_close(link, n ? code : 0, "", 0);
  close_begins(link, WS_ANSWERING);
  if (!ws_link_is_sending(link)) ws_link_sent(link);
}

void ws_link_fail(WsLink *link, unsigned code, const char *why) {
  if (link->phase >= WS_ANSWERING) return;
  bool was_open = link->phase == WS_OPEN;
  note(link, code, why, strlen(why));
  if (was_open) queue_close(link, code, why, strlen(why));
  ws_reader_free(&link->in);
  close_begins(link, WS_FAILING);
  if (!ws_link_is_sending(link)) ws_link_sent(link);
}

/* A server ends the connection. A client waits until the server does so (RFC 6455 section 7.1.1).
   Who has failed says so, and waits for the other to notice: what may still come must not turn into
   a reset that overtakes the Close frame. */
void ws_link_sent(WsLink *link) {
  if (link->phase == WS_ANSWERING && link->in.wants_mask) {
    end(link, false);
  } else if (link->phase == WS_FAILING && !link->is_shut) {
    link->is_shut = true;
    byte_stream_shut(link->bytes);
  }
}

/* --- time --- */

static void ping(WsLink *link) {
  uint64_t now = runtime_now(link->shared->rt);
  if (link->is_paused) { /* an answer could not be seen */
    link->is_pinged = false;
    if (byte_stream_has_gone(link->bytes)) {
      ws_link_lose(link, "the connection has ended without a Close frame", true);
      return;
    }
    /* The system of a peer that is not there any more resets the connection then. */
    if (!ws_link_is_sending(link)) ws_link_ping(link);
    set_timer(link, now, link->ping);
  } else if (link->is_pinged) {
    ws_link_lose(link, "no answer to a ping", true);
  } else if (now < timer_due(link->heard_at, link->ping)) {
    set_timer(link, link->heard_at, link->ping);
  } else {
    link->is_pinged = true;
    ws_link_ping(link);
    set_timer(link, now, link->ping);
  }
}

static void on_timer(Timer *timer) {
  WsLink *link = container_of(timer, WsLink, timer);
  if (link->is_ending) {
    ws_link_end_now(link);
    return;
  }
  if (link->phase == WS_OPEN) {
    ping(link);
    return;
  }
  link->was_lost = !link->code;
  note(link, WS_CODE_LOST, "no answer to a Close frame", strlen("no answer to a Close frame"));
  end(link, true);
}
