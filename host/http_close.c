#include "http_close.h"

#include "access_log.h"
#include "http_body.h"
#include "http_server.h"
#include "http_stream.h"
#include "runtime.h"
#include <stdlib.h>

enum { LINGER_TIMEOUT = 2 * 1000 }; /* milliseconds for the client to end its side */

void http_close_release(HttpConnection *c) {
  if (!c->closed || c->task) return;
  http_request_close(&c->request);
  access_log_forget(c);
  http_server_give_out(c->server, &c->out);
  http_server_forget(c->server, c); /* it may have been the last one of a server that stops */
  free(c);
}

static void on_closed(uv_handle_t *handle) {
  HttpConnection *c = handle->data;
  c->closed = true;
  http_close_release(c);
}

static void start_closing(HttpConnection *c, bool reset) {
  if (c->closing) return;
  c->closing = true;
  c->deadline = c->write_deadline = 0;
  if (c->body) http_body_over(c);
  http_stream_over(c); /* also who is shielded from the cancel of the handler hears of it */
  if (!reset || uv_tcp_close_reset(&c->tcp, on_closed)) uv_close((uv_handle_t *)&c->tcp, on_closed);
}

void http_close(HttpConnection *c) { start_closing(c, false); }

void http_connection_break(HttpConnection *c, bool reset) { start_closing(c, reset); }

void http_close_cancel_handler(HttpConnection *c, const char *why) {
  if (!c->task || c->cancelled) return;
  CancelCause *cause = cause_new(c->server->rt, why);
  if (!cause) return; /* no memory: the handler ends by itself */
  c->cancelled = true;
  task_cancel(c->task, cause);
  cause_drop(cause);
}

void http_connection_abort(HttpConnection *c) {
  http_close_cancel_handler(c, "client disconnected");
  http_close(c);
}

void http_close_finish(HttpConnection *c) {
  if (!c->linger || c->eof) {
    http_close(c);
  } else if (!c->shut) {
    c->shut = true;
    http_connection_set_deadline(c, LINGER_TIMEOUT);
    /* Not uv_shutdown: nothing is left to be written, and its request is large. */
    if (shutdown(c->fd, SHUT_WR)) http_close(c);
  }
}
