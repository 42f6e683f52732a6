#include "http/client/client_session_callbacks.h"

#include <stdio.h>

/* Frames that lead nowhere (RFC 9113 section 10.5): a server may send as many at once, and then
   some each second. A frame that brings or takes a part of a body makes good for a few. */
enum { MOST_NOISE = 2000, FORGIVEN = 200, WORTH = 4 };

enum { SILENT = 64 }; /* bytes for nobody that count as a frame */

void client_session_callbacks_note(ClientSession *s, ClientStream *stream) {
  if (stream->changed) return;
  stream->changed = true;
  stream->next_changed = NULL;
  *s->last_changed = stream;
  s->last_changed = &stream->next_changed;
}

void client_session_callbacks_break(ClientSession *s, const char *why) {
  s->is_broken = true;
  if (!*s->error) snprintf(s->error, sizeof s->error, "the server breaks HTTP/2: %s", why);
}

void client_session_callbacks_forgive(ClientSession *s, uint64_t now) {
  uint64_t seconds = (now - s->noise_at) / 1000;
  if (!seconds) return;
  s->noise_at = now;
  uint64_t forgiven = seconds * FORGIVEN;
  s->noise = s->noise > forgiven ? s->noise - (unsigned)forgiven : 0;
}

void client_session_callbacks_noise(ClientSession *s, size_t n) {
  s->noise += (unsigned)n;
  if (s->noise <= MOST_NOISE || s->is_broken) return;
  client_session_callbacks_break(s, "it sends too many frames that lead nowhere");
  s->library->nghttp2_session_terminate_session(s->h2, NGHTTP2_ENHANCE_YOUR_CALM);
}

void client_session_callbacks_unheard(ClientSession *s, size_t n) {
  size_t of_cancelled = n < s->astray ? n : s->astray;
  s->astray -= of_cancelled;
  client_session_callbacks_noise(s, (n - of_cancelled) / SILENT);
}

static void make_noise(ClientSession *s) { client_session_callbacks_noise(s, 1); }

static void make_good(ClientSession *s) { s->noise = s->noise > WORTH ? s->noise - WORTH : 0; }

static ClientStream *stream_of(ClientSession *s, int32_t id) {
  return s->library->nghttp2_session_get_stream_user_data(s->h2, id);
}

/* The response is bad: the stream is reset when its owner looks at it, at once if nothing else
   refuses it. */
static int spoil(ClientSession *s, ClientStream *stream) {
  client_session_callbacks_note(s, stream);
  return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

/* --- heads --- */

static int on_begin_headers(nghttp2_session *h2, const nghttp2_frame *frame, void *data) {
  (void)h2;
  ClientSession *s = data;
  /* Before it has read our settings, a server may push. */
  if (frame->hd.type == NGHTTP2_PUSH_PROMISE) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  ClientStream *stream = stream_of(s, frame->hd.stream_id);
  if (stream) client_response_begin_block(stream->response);
  return 0;
}

static int on_header(nghttp2_session *h2, const nghttp2_frame *frame, const uint8_t *name, size_t n,
                     const uint8_t *value, size_t len, uint8_t flags, void *data) {
  (void)h2, (void)flags;
  ClientSession *s = data;
  s->is_news = true;
  ClientStream *stream = stream_of(s, frame->hd.stream_id);
  if (!stream) return 0;
  if (client_response_field(stream->response, (const char *)name, n, (const char *)value, len))
    return 0;
  return spoil(s, stream);
}

/* nghttp2 would leave such a field out. */
static int on_invalid_header(nghttp2_session *h2, const nghttp2_frame *frame, const uint8_t *name,
                             size_t n, const uint8_t *value, size_t len, uint8_t flags,
                             void *data) {
  (void)h2, (void)name, (void)n, (void)value, (void)len, (void)flags;
  ClientSession *s = data;
  ClientStream *stream = stream_of(s, frame->hd.stream_id);
  if (!stream) return 0;
  client_response_refuse(stream->response, "malformed header in the response");
  return spoil(s, stream);
}

/* --- frames --- */

static void end_stream(ClientSession *s, ClientStream *stream) {
  client_response_end_stream(stream->response);
  client_session_callbacks_note(s, stream);
}

static void read_goaway(ClientSession *s, const nghttp2_goaway *goaway) {
  s->is_leaving = true;
  if (goaway->error_code == NGHTTP2_NO_ERROR || *s->error) return;
  snprintf(s->error, sizeof s->error, "the server ends the connection: %s",
           s->library->nghttp2_http2_strerror(goaway->error_code));
}

static int on_frame(nghttp2_session *h2, const nghttp2_frame *frame, void *data) {
  (void)h2;
  ClientSession *s = data;
  const nghttp2_frame_hd *head = &frame->hd;
  ClientStream *stream = head->stream_id ? stream_of(s, head->stream_id) : NULL;
  switch (head->type) {
  case NGHTTP2_SETTINGS:
    if (!(head->flags & NGHTTP2_FLAG_ACK)) s->is_settled = true;
    break;
  case NGHTTP2_GOAWAY:
    read_goaway(s, &frame->goaway);
    break;
  case NGHTTP2_RST_STREAM:
    if (stream) stream->is_reset = true;
    return 0;
  case NGHTTP2_HEADERS:
    if (!stream) return 0;
    client_response_end_block(stream->response);
    client_session_callbacks_note(s, stream);
    if (head->flags & NGHTTP2_FLAG_END_STREAM) end_stream(s, stream);
    if (stream->response->head_read) {
      make_good(s);
      return 0;
    }
    break; /* an interim response */
  case NGHTTP2_DATA:
    if (stream && head->flags & NGHTTP2_FLAG_END_STREAM) end_stream(s, stream);
    if (head->length > frame->data.padlen) {
      make_good(s);
      return 0;
    }
    if (head->flags & NGHTTP2_FLAG_END_STREAM) return 0;
    break;
  default:
    break;
  }
  make_noise(s);
  return 0;
}

/* nghttp2 ends the connection, and has told the server why. */
static void read_own_goaway(ClientSession *s, const nghttp2_goaway *goaway) {
  char why[80];
  const char *name = s->library->nghttp2_http2_strerror(goaway->error_code);
  snprintf(why, sizeof why, "%s%s%.*s", name, goaway->opaque_data_len ? ", " : "",
           (int)(goaway->opaque_data_len < 60 ? goaway->opaque_data_len : 60),
           goaway->opaque_data_len ? (const char *)goaway->opaque_data : "");
  client_session_callbacks_break(s, why);
}

static int on_frame_sent(nghttp2_session *h2, const nghttp2_frame *frame, void *data) {
  (void)h2;
  ClientSession *s = data;
  if (frame->hd.type == NGHTTP2_DATA) make_good(s); /* whose window will be renewed */
  if (frame->hd.type == NGHTTP2_GOAWAY && frame->goaway.error_code != NGHTTP2_NO_ERROR)
    read_own_goaway(s, &frame->goaway);
  return 0;
}

static int on_begin_frame(nghttp2_session *h2, const nghttp2_frame_hd *head, void *data) {
  (void)h2;
  ClientSession *s = data;
  s->is_news = true;
  if (head->type == NGHTTP2_RST_STREAM) make_noise(s);
  /* Of a header block for no request nghttp2 says nothing more; it costs as much as any. */
  bool is_block = head->type == NGHTTP2_HEADERS || head->type == NGHTTP2_CONTINUATION;
  if (is_block && !stream_of(s, head->stream_id))
    client_session_callbacks_unheard(s, head->length + SILENT);
  return 0;
}

static int on_invalid_frame(nghttp2_session *h2, const nghttp2_frame *frame, int error,
                            void *data) {
  (void)h2, (void)error;
  ClientSession *s = data;
  ClientStream *stream = frame->hd.stream_id ? stream_of(s, frame->hd.stream_id) : NULL;
  make_noise(s);
  if (!stream || frame->hd.type != NGHTTP2_HEADERS) return 0;
  client_response_refuse(stream->response, "malformed header in the response");
  client_session_callbacks_note(s, stream);
  return 0;
}

/* --- bodies and ends --- */

static int on_data(nghttp2_session *h2, uint8_t flags, int32_t id, const uint8_t *bytes, size_t n,
                   void *data) {
  (void)flags;
  ClientSession *s = data;
  ClientStream *stream = stream_of(s, id);
  s->is_news = true;
  /* A slow reader holds up its own stream, and no other. */
  s->library->nghttp2_session_consume_connection(h2, n);
  if (!stream) return 0;
  ClientResponse *r = stream->response;
  stream->came += n;
  client_session_callbacks_note(s, stream);
  if (!client_response_data(r, (const char *)bytes, n)) return 0;
  if (r->by_pieces)
    client_session_advance(stream, n);
  else
    client_session_taken(stream, n);
  return 0;
}

static int on_close(nghttp2_session *h2, int32_t id, uint32_t code, void *data) {
  ClientSession *s = data;
  ClientStream *stream = stream_of(s, id);
  if (!stream) return 0;
  s->library->nghttp2_session_set_stream_user_data(h2, id, NULL);
  stream->id = 0;
  stream->code = code;
  ClientResponse *r = stream->response;
  if (!r->complete && !stream->is_reset) client_session_stray(s, stream);
  if (code == NGHTTP2_REFUSED_STREAM)
    stream->end = CLIENT_STREAM_REFUSED; /* or a GOAWAY says that it was not looked at */
  else if (code == NGHTTP2_HTTP_1_1_REQUIRED && stream->is_reset)
    stream->end = CLIENT_STREAM_WANTS_HTTP_1;
  else
    stream->end = CLIENT_STREAM_RESET;
  /* nghttp2 has reset it: what has come is not as long as it says, or out of order. */
  if (!r->complete && !stream->is_reset && code == NGHTTP2_PROTOCOL_ERROR)
    client_response_refuse(r, "the response is malformed, or not of its Content-Length");
  client_session_callbacks_note(s, stream);
  return 0;
}

void client_session_callbacks_set(const Http2Library *lib, nghttp2_session_callbacks *callbacks) {
  lib->nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks, on_begin_frame);
  lib->nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
  lib->nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
  lib->nghttp2_session_callbacks_set_on_invalid_header_callback(callbacks, on_invalid_header);
  lib->nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
  lib->nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_sent);
  lib->nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks, on_invalid_frame);
  lib->nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
  lib->nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
}
