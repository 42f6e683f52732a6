/* Part of client_exchange.h: what observers are told. */
#include "core/observe.h"
#include "core/scheduler.h"
#include "http/client/client_exchange.h"

void client_exchange_observe(ClientExchange *x) {
  Runtime *rt = x->client->rt;
  const ClientRequest *r = &x->request;
  Observation *o = observe_start(rt, OBSERVED_CALL, rt->scheduler.current);
  if (!o) return;
  o->call = (ObservedCall){
      .method = r->method,
      .host = {r->url.host, r->url.host_len},
      .base = {r->base, r->base_len},
      .target = {r->url.target, r->url.target_len},
      .port = r->url.port,
  };
  if (r->shown) o->call.shown = (ObservedText){r->shown, strlen(r->shown)};
  x->observed = o;
  observe_began(o);
}

void client_exchange_observed(ClientExchange *x, bool released) {
  ObservedCall *o = &x->observed->call;
  const ClientRequest *r = &x->request;
  o->status = x->response.head_read ? (int)x->response.status : 0;
  o->is_http2 = x->stream.session != NULL;
  o->resent = (uint8_t)(x->repeats + x->replaced);
  o->sent = r->framing == CLIENT_BODY_WHOLE ? r->body_len : x->written;
  o->received = x->response.by_pieces ? x->response.given + client_response_waiting(&x->response)
                                      : x->response.body.len;
  o->error = released ? "cancelled" : x->error_kind;
  observe_ended(&x->observed);
}
