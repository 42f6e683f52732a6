/* Part of http_connection.h: how a connection ends, and when its client has taken too long. */
#include "http/server/access_log.h"
#include "http/server/http_answer.h"
#include "http/server/http_body.h"
#include "http/server/http_buffered.h"
#include "http/server/http_handler.h"
#include "http/server/http_lent.h"
#include "http/server/http_server.h"
#include "http/server/http_stream.h"
#include "http/server/http_tail.h"
#include "http/server/http_upgrade.h"
#include "http/server/http_write.h"
#include <stdlib.h>

enum { LINGER_TIMEOUT = 2 * 1000 }; /* milliseconds for the client to end its side */

void http_connection_retire(HttpConnection *c) {
  if (c->phase == PHASE_UPGRADED) {
    c->upgrade->calls->retire(c);
    return;
  }
  if (c->is_stream || http_connection_is_closing(c) || c->task)
    return; /* the response will say so */
  if (c->http2) {
    c->server->http2_calls->retire(c->http2);
    return;
  }
  if (c->request.state == REQUEST_IDLE) http_connection_enter_last(c, AFTER_CLOSE);
  http_server_due(c->server, c);
}

void http_connection_end(HttpConnection *c) {
  bool lingers = c->is_stream ? !c->server->http2_calls->has_all(c) : c->after == AFTER_LINGER;
  if (!lingers || c->bytes.ended) {
    http_connection_close(c, false);
    return;
  }
  c->phase = PHASE_LINGERING;
  http_connection_set_deadline(c, LINGER_TIMEOUT);
  if (byte_stream_shut(&c->bytes)) http_connection_close(c, false);
}

void http_connection_close(HttpConnection *c, bool reset) {
  if (http_connection_is_closing(c)) return;
  c->phase = PHASE_CLOSING;
  c->deadline = c->write_deadline = 0;
  if (c->body) http_body_over(c);
  if (c->http2 && !c->is_stream) c->server->http2_calls->over(c->http2);
  http_stream_over(c); /* a reader that is shielded from the handler's cancel learns of it, too */
  c->held = 0;
  http_buffered_queue(c, 0);
  byte_stream_close(&c->bytes, reset);
  if (c->upgrade) c->upgrade->calls->cut(c);
}

void http_connection_abort(HttpConnection *c) {
  /* What follows HTTP tells it of the end, or has it cancelled then. */
  if (c->task && c->phase != PHASE_UPGRADED) http_handler_cancel(c);
  http_connection_close(c, false);
}

void http_connection_release(HttpConnection *c) {
  if (c->phase != PHASE_CLOSED || c->task) return;
  if (c->http2 && !c->is_stream && !c->server->http2_calls->free(c->http2))
    return; /* its streams need it */
  if (c->tails) http_tail_close(c);
  if (c->upgrade) c->upgrade->calls->leave(c);
  http_request_close(&c->request);
  access_log_forget(c);
  http_connection_uncount(c);
  c->server->buffered -= c->buffered;
  c->server->queued -= c->queued;
  free(c->forwarded);
  if (c->lent) http_lent_drop(c->lent);
  http_server_give_out(c->server, &c->out);
  http_server_forget(c->server, c); /* it may have been the last one of a stopping server */
  if (c->is_stream)
    c->server->http2_calls->release(c);
  else
    free(c);
}

void http_connection_closed(ByteStream *s) {
  HttpConnection *c = container_of(s, HttpConnection, bytes);
  c->phase = PHASE_CLOSED;
  http_connection_release(c);
}

/* The client has not sent what it should have. */
static void expire_read(HttpConnection *c) {
  c->deadline = 0;
  if (c->phase == PHASE_CARRYING)
    c->server->http2_calls->expire(c->http2);
  else if (http_body_is_owed(c))
    http_body_fail(c, 408, http_response_reason(408));
  else if (c->phase == PHASE_LINGERING || c->phase == PHASE_DRAINING)
    http_connection_abort(c);
  else if (byte_stream_is_writing(&c->bytes)) /* it is still busy receiving */
    http_connection_set_deadline(c, c->server->limits.keep_alive);
  else if (c->phase == PHASE_IN_HEAD)
    http_answer_refuse(c, 408, http_response_reason(408));
  else if (!c->task)
    http_connection_abort(c);
}

void http_connection_expire(HttpConnection *c, uint64_t polled_at) {
  bool is_unheard = c->bytes.paused || c->bytes.ended; /* libuv would not report that it has gone */
  if (is_unheard && c->task && !http_connection_is_closing(c) && byte_stream_has_gone(&c->bytes)) {
    http_connection_abort(c);
    return;
  }
  if (c->phase == PHASE_UPGRADED) http_write_watch(c);
  if (c->phase == PHASE_CARRYING) c->server->http2_calls->look(c->http2);
  if (c->write_deadline && c->write_deadline <= polled_at && http_write_expire(c)) return;
  if (c->deadline && c->deadline <= polled_at) expire_read(c);
}
