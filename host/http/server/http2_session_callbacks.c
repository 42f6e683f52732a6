/* Part of http2_session.h: what nghttp2 tells. Nothing here calls nghttp2 back for frames, or a
   stream's connection. */
#include "http/server/http2_stream.h"

#include "http/server/http_server.h"

enum { MAX_HEAD_SENT = 1024 * 1024 }; /* bytes of a response's head; HTTP/1 has no limit */

static Http2Stream *find(const Http2Session *s, int32_t id) {
  return s->lib->nghttp2_session_get_stream_user_data(s->ng, id);
}

static void reset_stream(Http2Session *s, int32_t id, uint32_t error) {
  s->lib->nghttp2_submit_rst_stream(s->ng, NGHTTP2_FLAG_NONE, id, error);
}

/* --- numbers of streams: one that was skipped can never be used (RFC 9113 section 5.1.1) --- */

static void note_number(Http2Session *s, int32_t id) {
  if (id > s->last_stream + 2 && s->last_stream + 2 > 0) {
    s->gaps[s->next_gap].from = s->last_stream ? s->last_stream + 2 : 1;
    s->gaps[s->next_gap].to = id;
    s->next_gap = (s->next_gap + 1) % HTTP2_GAPS;
  }
  s->last_stream = id;
}

static bool was_skipped(const Http2Session *s, int32_t id) {
  for (int i = 0; i < HTTP2_GAPS; i++)
    if (id >= s->gaps[i].from && id < s->gaps[i].to) return true;
  return false;
}

/* Nothing may follow on a stream that its client has ended; where we did, it may be on its way
   (section 5.1). */
static bool was_ended(const Http2Session *s, int32_t id) {
  for (int i = 0; i < HTTP2_ENDED; i++)
    if (id == s->ended[i]) return true;
  return false;
}

static void note_ended(Http2Session *s, int32_t id) {
  s->ended[s->next_ended] = id;
  s->next_ended = (s->next_ended + 1) % HTTP2_ENDED;
}

static bool is_closed(const Http2Session *s, int32_t id) {
  return id <= s->last_stream && !s->lib->nghttp2_session_find_stream(s->ng, id);
}

bool http2_session_check_frame(Http2Session *s, Http2Frame frame) {
  int32_t id = s->frames.stream;
  uint32_t error = NGHTTP2_NO_ERROR;
  switch (frame) {
  case HTTP2_FRAME_DATA:
    if (is_closed(s, id) && was_ended(s, id)) error = NGHTTP2_STREAM_CLOSED;
    break;
  case HTTP2_FRAME_RESET:
    note_ended(s, id);
    break;
  case HTTP2_FRAME_WRONG:
    error = NGHTTP2_PROTOCOL_ERROR;
    break;
  case HTTP2_FRAME_NO_WINDOW:
    if (is_closed(s, id)) error = NGHTTP2_PROTOCOL_ERROR;
    break;
  default:
    http2_session_charge(s, HTTP2_COST_FRAME);
  }
  if (error) s->lib->nghttp2_session_terminate_session(s->ng, error);
  return !error;
}

static int on_begin_frame(nghttp2_session *ng, const nghttp2_frame_hd *hd, void *data) {
  (void)ng;
  Http2Session *s = data;
  int32_t id = hd->stream_id;
  if (hd->type == NGHTTP2_HEADERS && is_closed(s, id)) {
    if (was_skipped(s, id))
      s->lib->nghttp2_session_terminate_session(s->ng, NGHTTP2_PROTOCOL_ERROR);
    else if (was_ended(s, id))
      s->lib->nghttp2_session_terminate_session(s->ng, NGHTTP2_STREAM_CLOSED);
  }
  return 0;
}

/* --- heads --- */

static bool may_open(const Http2Session *s) {
  const HttpServer *server = s->connection->server;
  bool is_crowded = server->n_streams >= server->limits.max_connections;
  return s->n_streams < (is_crowded ? HTTP2_FEW_STREAMS : HTTP2_STREAMS);
}

static int on_begin_headers(nghttp2_session *ng, const nghttp2_frame *frame, void *data) {
  Http2Session *s = data;
  int32_t id = frame->hd.stream_id;
  s->head_stream = id;
  s->reading = NULL;
  http2_head_begin(&s->head, s->connection->server->limits.max_header_bytes);
  if (frame->headers.cat != NGHTTP2_HCAT_REQUEST) return 0; /* trailers */
  note_number(s, id);
  Http2Stream *st = may_open(s) ? http2_stream_new(s, id) : NULL;
  if (!st) {
    reset_stream(s, id, NGHTTP2_REFUSED_STREAM);
    http2_session_charge(s, HTTP2_COST_STREAM);
    return 0;
  }
  s->lib->nghttp2_session_set_stream_user_data(ng, id, st);
  s->reading = st;
  buffer_pool_take(&s->connection->server->out_pool, &st->in);
  return 0;
}

static int refuse(Http2Session *s, int32_t id, Http2Field field) {
  if (field == HTTP2_FIELD_OK) return 0;
  if (field == HTTP2_FIELD_NO_MEMORY) http2_session_charge(s, HTTP2_COST_BOMB);
  reset_stream(s, id,
               field == HTTP2_FIELD_BAD ? NGHTTP2_PROTOCOL_ERROR : NGHTTP2_ENHANCE_YOUR_CALM);
  return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

static int on_header(nghttp2_session *ng, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                     void *data) {
  (void)ng, (void)flags;
  Http2Session *s = data;
  Http2Stream *st = s->reading;
  /* Of a refused stream, or a trailer, which nobody asks for: it has cost its reading. */
  Http2Field field = st ? http2_head_add(&s->head, &st->in, (const char *)name, name_len,
                                         (const char *)value, value_len)
                        : http2_head_skip(&s->head, name_len, value_len);
  return refuse(s, frame->hd.stream_id, field);
}

/* nghttp2 would leave the field out. */
static int on_invalid_header(nghttp2_session *ng, const nghttp2_frame *frame, const uint8_t *name,
                             size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                             void *data) {
  (void)ng, (void)name, (void)name_len, (void)value, (void)value_len, (void)flags;
  return refuse(data, frame->hd.stream_id, HTTP2_FIELD_BAD);
}

void http2_session_refuse_head(Http2Session *s) {
  Http2Stream *st = s->reading;
  s->lib->nghttp2_session_set_stream_user_data(s->ng, st->id, NULL);
  reset_stream(s, st->id, NGHTTP2_REFUSED_STREAM);
  http2_session_charge(s, HTTP2_COST_STREAM);
  s->reading = NULL;
  st->id = 0;
  http2_stream_note(st); /* frees it */
  http2_head_done(&s->head);
}

static void end_head(Http2Session *s, Http2Stream *st, bool has_body) {
  Http2Field end = http2_head_end(&s->head, &st->in, has_body, &st->is_chunked);
  if (refuse(s, st->id, end)) return;
  st->reply.is_head = s->head.is_head;
  st->connection.own_lines = (uint8_t)http2_head_own(st->is_chunked);
  st->has_request = true;
  st->has_all = !has_body;
  http2_stream_note(st);
}

static void end_body(Http2Session *s, Http2Stream *st) {
  if (!http2_stream_end(st)) reset_stream(s, st->id, NGHTTP2_INTERNAL_ERROR);
  http2_stream_note(st);
}

/* --- frames --- */

static int on_frame(nghttp2_session *ng, const nghttp2_frame *frame, void *data) {
  (void)ng;
  Http2Session *s = data;
  bool ends = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
  bool acks = (frame->hd.flags & NGHTTP2_FLAG_ACK) != 0;
  Http2Stream *st;
  switch (frame->hd.type) {
  case NGHTTP2_HEADERS:
    s->head_stream = 0;
    st = find(s, frame->hd.stream_id);
    if (st && frame->headers.cat == NGHTTP2_HCAT_REQUEST)
      end_head(s, st, !ends);
    else if (st && ends)
      end_body(s, st);
    s->reading = NULL;
    http2_head_done(&s->head);
    break;
  case NGHTTP2_DATA:
    st = find(s, frame->hd.stream_id);
    if (st && ends) end_body(s, st);
    if (!ends && frame->hd.length <= frame->data.padlen) http2_session_charge(s, HTTP2_COST_FRAME);
    break;
  case NGHTTP2_SETTINGS:
    if (!acks) http2_session_charge(s, HTTP2_COST_SETTINGS);
    break;
  case NGHTTP2_PING:
    if (acks)
      http2_session_farewell(s);
    else
      http2_session_charge(s, HTTP2_COST_FRAME);
    break;
  default:
    break;
  }
  return 0;
}

static int on_data(nghttp2_session *ng, uint8_t flags, int32_t id, const uint8_t *bytes, size_t n,
                   void *data) {
  (void)flags;
  Http2Session *s = data;
  Http2Stream *st = find(s, id);
  s->lib->nghttp2_session_consume_connection(ng, n); /* one stream does not hold up the others */
  if (!st) {
    s->lib->nghttp2_session_consume_stream(ng, id, n);
  } else if (http2_stream_add(st, (const char *)bytes, n)) {
    http2_stream_note(st);
  } else {
    reset_stream(s, id, NGHTTP2_INTERNAL_ERROR);
  }
  return 0;
}

static int on_stream_close(nghttp2_session *ng, int32_t id, uint32_t error, void *data) {
  (void)ng;
  Http2Session *s = data;
  Http2Stream *st = find(s, id);
  if (id == s->head_stream) {
    s->head_stream = 0;
    s->reading = NULL;
    http2_head_done(&s->head);
  }
  if (!st) return 0;
  st->id = 0;
  bool is_whole = st->reply.state == HTTP2_REPLY_OVER;
  if (is_whole && !error) {
    if (st->has_all) note_ended(s, id);
    return 0;
  }
  if (!st->is_aborted) http2_session_charge(s, HTTP2_COST_STREAM);
  st->was_reset = true;
  http2_stream_note(st);
  http2_session_due(s);
  return 0;
}

/* nghttp2 refuses streams beyond the limit without on_begin_headers, until the client has
   acknowledged our settings; and it may never do so. */
static int on_invalid_frame(nghttp2_session *ng, const nghttp2_frame *frame, int error,
                            void *data) {
  (void)ng, (void)frame;
  if (error == NGHTTP2_ERR_REFUSED_STREAM) http2_session_charge(data, HTTP2_COST_STREAM);
  return 0;
}

/* nghttp2 drops a head it cannot pack, and keeps the stream: its client would wait for ever. */
static int on_not_sent(nghttp2_session *ng, const nghttp2_frame *frame, int error, void *data) {
  (void)error;
  Http2Session *s = data;
  int32_t id = frame->hd.stream_id;
  if (frame->hd.type == NGHTTP2_HEADERS && s->lib->nghttp2_session_find_stream(ng, id))
    reset_stream(s, id, NGHTTP2_INTERNAL_ERROR);
  return 0;
}

nghttp2_session *http2_session_new_ng(Http2Session *s) {
  const Http2Library *lib = s->lib;
  nghttp2_session_callbacks *calls = NULL;
  nghttp2_option *option = NULL;
  nghttp2_session *ng = NULL;
  if (lib->nghttp2_session_callbacks_new(&calls) || lib->nghttp2_option_new(&option)) {
    lib->nghttp2_session_callbacks_del(calls);
    return NULL;
  }
  lib->nghttp2_session_callbacks_set_on_begin_frame_callback(calls, on_begin_frame);
  lib->nghttp2_session_callbacks_set_on_begin_headers_callback(calls, on_begin_headers);
  lib->nghttp2_session_callbacks_set_on_header_callback(calls, on_header);
  lib->nghttp2_session_callbacks_set_on_invalid_header_callback(calls, on_invalid_header);
  lib->nghttp2_session_callbacks_set_on_frame_recv_callback(calls, on_frame);
  lib->nghttp2_session_callbacks_set_on_data_chunk_recv_callback(calls, on_data);
  lib->nghttp2_session_callbacks_set_on_stream_close_callback(calls, on_stream_close);
  lib->nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(calls, on_invalid_frame);
  lib->nghttp2_session_callbacks_set_on_frame_not_send_callback(calls, on_not_sent);
  lib->nghttp2_option_set_no_auto_window_update(option, 1);
  lib->nghttp2_option_set_max_send_header_block_length(option, MAX_HEAD_SENT);
  /* The guard is stricter, and says goodbye. */
  lib->nghttp2_option_set_max_outbound_ack(option, 2 * HTTP2_ALLOWANCE);
  lib->nghttp2_option_set_no_closed_streams(option, 1); /* we keep their numbers */
  s->memory.memory = &s->connection->server->rt->memory;
  nghttp2_mem memory = http2_memory(&s->memory);
  if (lib->nghttp2_session_server_new3(&ng, calls, s, option, &memory)) ng = NULL;
  lib->nghttp2_session_callbacks_del(calls);
  lib->nghttp2_option_del(option);
  return ng;
}
