#include "websocket/ws_link.h"

#include "core/observe.h"
#include "core/task.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* How much may wait for a receiver before nothing is read any more. Each message counts a little
   more than its bytes. */
enum { MOST_INBOUND = 64 * 1024, OVERHEAD = 64 };

enum { LITTLE = 4096 }; /* bytes that do not count as kept */

WsLink *ws_link_new(Runtime *rt, ByteStream *bytes, const WsCarrier *carrier, void *owner,
                    const WsOptions *options) {
  WsLink *link = calloc(1, sizeof *link);
  WsShared *shared = link ? ws_shared_of(rt) : NULL;
  if (!shared) {
    free(link);
    return NULL;
  }
  link->shared = shared;
  link->bytes = bytes;
  link->carrier = carrier;
  link->owner = owner;
  link->refs = 2;
  link->ping = (float)options->ping;
  link->close_timeout = (float)options->close_timeout;
  link->deflate = options->deflate;
  link->in.max_message = options->max_message;
  link->in.wants_mask = options->is_server;
  link->in.may_deflate = options->deflate.window;
  link->heard_at = runtime_now(rt);
  waiters_init(&link->line);
  ws_link_arm(link);
  return link;
}

void ws_link_drop(WsLink *link) {
  if (--link->refs) return;
  while (link->first) {
    WsInbound *m = link->first;
    link->first = m->next;
    free(m);
  }
  if (link->deflater) { /* what was left to be received may have needed it */
    ws_deflate_free(link->deflater);
    free(link->deflater);
  }
  free(link->reason);
  free(link->farewell);
  free(link->owed);
  ws_shared_release(link->shared);
  free(link);
}

void ws_link_note(WsLink *link) {
  size_t kept = link->inbound + link->out.cap;
  if (!link->carrier->keeps) return;
  if (link->in.message) kept += link->in.message->cap;
  if (link->phase != WS_OVER && byte_stream_is_writing(link->bytes))
    kept += byte_stream_queued(link->bytes);
  if (kept < LITTLE) kept = 0;
  if (kept == link->kept) return;
  ptrdiff_t more = (ptrdiff_t)(kept - link->kept);
  link->kept = kept;
  link->carrier->keeps(link, more);
}

/* --- what comes --- */

uv_buf_t ws_link_room(WsLink *link) { return uv_buf_init(link->shared->room, WS_ROOM); }

void ws_link_tell(WsLink *link) {
  Waker waker = link->waiting;
  if (!waker.task || (!link->first && !link->code)) return;
  link->waiting.task = NULL;
  ml_wait_wake(waker);
}

static void add_message(WsLink *link) {
  WsInbound *m = ws_reader_take(&link->in);
  if (link->phase != WS_OPEN) { /* who has said Close does not listen any more */
    free(m);
    return;
  }
  m->next = NULL;
  if (link->first)
    link->last->next = m;
  else
    link->first = m;
  link->last = m;
  link->inbound += m->len + OVERHEAD;
  if (link->waiting.task) ws_link_tell(link);
}

static void take_close(WsLink *link) {
  const WsReader *r = &link->in;
  bool can_wait = link->first && link->phase == WS_OPEN;
  WsInbound *farewell = can_wait ? malloc(sizeof *farewell + r->control_len) : NULL;
  if (!farewell) {
    ws_link_peer_closes(link, r->control, r->control_len);
    return;
  }
  *farewell = (WsInbound){.len = r->control_len};
  memcpy(farewell->bytes, r->control, r->control_len);
  ws_link_end_later(link, farewell);
}

static void control(WsLink *link) {
  const WsReader *r = &link->in;
  if (r->opcode == WS_CLOSE)
    take_close(link);
  else if (r->opcode == WS_PING && link->phase == WS_OPEN)
    ws_link_pong(link, r->control, r->control_len);
}

/* The reader has said why. */
static void failed(WsLink *link) {
  if (link->first && link->phase == WS_OPEN)
    ws_link_end_later(link, NULL);
  else
    ws_link_fail(link, link->in.code, link->in.why);
}

/* All that came is taken: shall more come? */
static void took_all(WsLink *link) {
  ws_link_note(link);
  bool is_crowded = ws_link_is_crowded(link);
  if (link->inbound > MOST_INBOUND || (is_crowded && link->inbound)) {
    link->is_paused = true;
    byte_stream_pause(link->bytes);
  } else if (is_crowded && link->in.message && link->phase == WS_OPEN) {
    observe_limited(link->shared->rt, "max_buffered");
    link->in.code = WS_CODE_TRY_LATER;
    link->in.why = "the server has too much to keep";
    failed(link);
  }
}

void ws_link_came(WsLink *link, char *bytes, size_t n) {
  link->heard_at = link->shared->rt->pass_at;
  link->is_pinged = false;
  uint64_t seconds = (link->heard_at - link->forgiven_at) / 1000000000;
  if (link->in.noise && seconds) {
    ws_reader_forgive(&link->in, seconds);
    link->forgiven_at = link->heard_at;
  }
  link->refs++; /* the carrier may drop it at its end */
  while (link->phase <= WS_CLOSING && !link->is_ending) {
    switch (ws_reader_next(&link->in, &bytes, &n)) {
    case WS_EVENT_NONE:
      took_all(link);
      ws_link_drop(link);
      return;
    case WS_EVENT_MESSAGE:
      add_message(link);
      break;
    case WS_EVENT_CONTROL:
      control(link);
      break;
    case WS_EVENT_FAILED:
      failed(link);
      break;
    }
  }
  ws_link_note(link);
  ws_link_drop(link);
}

/* --- receiving --- */

bool ws_link_peek(WsLink *link, WsView *view) {
  WsInbound *m = link->first;
  if (!m) {
    if (link->is_ending) ws_link_end_now(link);
    return false;
  }
  *view = (WsView){m->bytes, m->len, m->opcode == WS_TEXT};
  if (!m->is_deflated) return true;
  WsShared *shared = link->shared;
  Buffer *out = &shared->unpacked;
  out->len = 0;
  WsDeflater *d = &shared->deflater;
  unsigned code = WS_CODE_INTERNAL;
  if (link->deflate.peer_takeover) {
    if (!link->deflater) link->deflater = calloc(1, sizeof *link->deflater);
    d = link->deflater;
  }
  if (d) code = ws_deflate_unpack(d, &link->deflate, m->bytes, m->len, link->in.max_message, out);
  if (!code && view->is_text && !utf8_is_well_formed(out->data ? out->data : "", out->len))
    code = WS_CODE_BAD_DATA;
  if (code) {
    while (link->first) ws_link_received(link); /* what follows cannot be relied on */
    ws_link_fail(link, code,
                 code == WS_CODE_TOO_BIG    ? "a message that is too big"
                 : code == WS_CODE_BAD_DATA ? "a compressed message that is not valid"
                                            : "out of memory");
    return false;
  }
  view->bytes = out->data ? out->data : "";
  view->len = out->len;
  return true;
}

void ws_link_received(WsLink *link) {
  WsInbound *m = link->first;
  if (m->is_deflated) ws_shared_trim(&link->shared->unpacked);
  link->first = m->next;
  link->inbound -= m->len + OVERHEAD;
  free(m);
  ws_link_note(link);
  if (link->is_paused && link->inbound < MOST_INBOUND / 2) {
    link->is_paused = false;
    if (link->phase != WS_OVER) byte_stream_resume(link->bytes);
  }
}

static void hold(WsLink *link, bool held) {
  if (link->carrier->hold && link->phase != WS_OVER) link->carrier->hold(link, held);
}

static void begin_wait(WsLink *link) {
  if (link->held++ == 0) hold(link, true);
}

static void end_wait(WsLink *link) {
  if (--link->held == 0) hold(link, false);
}

void ws_link_was_told(WsLink *link) {
  link->reader_told = true;
  if (link->carrier->told) link->carrier->told(link);
}

void ws_link_receive_begins(WsLink *link, Waker waker) {
  link->waiting = waker;
  begin_wait(link);
}

void ws_link_receive_ends(WsLink *link) {
  link->receiver = NULL;
  link->waiting.task = NULL;
  end_wait(link);
}

void ws_link_wait_begins(WsLink *link, Task *t) {
  waiters_join(&link->line, &t->waiter);
  begin_wait(link);
}

void ws_link_wait_leaves(WsLink *link, Task *t) {
  waiters_leave(&link->line, &t->waiter);
  end_wait(link);
}

void ws_link_wait_ends(WsLink *link) { end_wait(link); }
