#include "http/client/client_session.h"

#include "http/client/client_session_callbacks.h"
#include <string.h>

/* --- life --- */

static nghttp2_session *make(ClientSession *s) {
  const Http2Library *lib = s->library;
  nghttp2_session *h2 = NULL;
  nghttp2_session_callbacks *callbacks;
  nghttp2_option *option;
  if (lib->nghttp2_option_new(&option)) return NULL;
  lib->nghttp2_option_set_no_auto_window_update(option, 1);
  lib->nghttp2_option_set_no_closed_streams(option, 1);
  /* Servers do send blanks around values; they are taken off, as for HTTP/1. */
  lib->nghttp2_option_set_no_rfc9113_leading_and_trailing_ws_validation(option, 1);
  if (!lib->nghttp2_session_callbacks_new(&callbacks)) {
    client_session_callbacks_set(lib, callbacks);
    if (lib->nghttp2_session_client_new2(&h2, callbacks, s, option)) h2 = NULL;
    lib->nghttp2_session_callbacks_del(callbacks);
  }
  lib->nghttp2_option_del(option);
  return h2;
}

bool client_session_open(ClientSession *s, const Http2Library *library) {
  static const nghttp2_settings_entry settings[] = {
      {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, CLIENT_STREAM_WINDOW},
      {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, CLIENT_MAX_HEAD},
  };
  s->library = library;
  s->last_changed = &s->changed;
  s->h2 = make(s);
  return s->h2 &&
         !library->nghttp2_submit_settings(s->h2, 0, settings,
                                           sizeof settings / sizeof *settings) &&
         !library->nghttp2_session_set_local_window_size(s->h2, 0, 0, CLIENT_SESSION_WINDOW);
}

void client_session_close(ClientSession *s) {
  if (s->h2) s->library->nghttp2_session_del(s->h2);
  *s = (ClientSession){0};
}

bool client_session_is_over(const ClientSession *s) {
  return !s->library->nghttp2_session_want_read(s->h2) &&
         !s->library->nghttp2_session_want_write(s->h2);
}

void client_session_ask(ClientSession *s) {
  s->library->nghttp2_submit_ping(s->h2, NGHTTP2_FLAG_NONE, NULL);
}

void client_session_leave(ClientSession *s) {
  s->library->nghttp2_session_terminate_session(s->h2, NGHTTP2_NO_ERROR);
}

/* --- bytes --- */

void client_session_stray(ClientSession *s, const ClientStream *stream) {
  size_t window = CLIENT_STREAM_WINDOW;
  if (stream->is_wide)
    window = stream->response->by_pieces ? CLIENT_STREAM_WIDE_PIECES : CLIENT_STREAM_WIDE;
  s->astray += window + window / 8; /* with the heads of frames */
}

bool client_session_feed(ClientSession *s, const char *bytes, size_t n, uint64_t now) {
  if (s->is_broken) return false;
  s->heard += n;
  s->is_news = false;
  client_session_callbacks_forgive(s, now);
  ssize_t taken = s->library->nghttp2_session_mem_recv(s->h2, (const uint8_t *)bytes, n);
  if (taken < 0)
    client_session_callbacks_break(s, s->library->nghttp2_strerror((int)taken));
  else if (!s->is_news)
    client_session_callbacks_unheard(s, n);
  return !s->is_broken;
}

bool client_session_pull(ClientSession *s, Buffer *out, size_t most) {
  size_t before = out->len;
  while (out->len - before < most) {
    const uint8_t *bytes;
    ssize_t n = s->library->nghttp2_session_mem_send(s->h2, &bytes);
    if (n == 0) break;
    if (n < 0 || !buffer_add(out, (const char *)bytes, (size_t)n)) return false;
  }
  return true;
}

/* --- streams --- */

unsigned client_session_room(const ClientSession *s, bool again) {
  if (s->is_leaving || s->is_broken || !s->library->nghttp2_session_check_request_allowed(s->h2))
    return 0;
  /* 100 before the server's settings have come. */
  uint32_t most = s->library->nghttp2_session_get_remote_settings(
      s->h2, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
  if (!again && !s->is_settled) most = 1;
  return s->streams < most ? most - s->streams : 0;
}

/* Takes a stream off the list of those to which something has happened. */
static void forget_change(ClientSession *s, ClientStream *stream) {
  if (!stream->changed) return;
  stream->changed = false;
  ClientStream **link = &s->changed;
  while (*link != stream) link = &(*link)->next_changed;
  *link = stream->next_changed;
  if (!*link) s->last_changed = link;
}

ClientStream *client_session_changed(ClientSession *s) {
  ClientStream *stream = s->changed;
  if (stream) forget_change(s, stream);
  return stream;
}

/* For nghttp2: gives the next piece of a body, or nothing for now. */
static ssize_t give_body(nghttp2_session *h2, int32_t id, uint8_t *to, size_t n, uint32_t *flags,
                         nghttp2_data_source *source, void *data) {
  (void)source;
  ClientSession *s = data;
  ClientStream *stream = s->library->nghttp2_session_get_stream_user_data(h2, id);
  if (!stream) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* it is being reset */
  size_t part = stream->body_left < n ? stream->body_left : n;
  if (part) {
    memcpy(to, stream->body, part);
    stream->body += part;
    stream->body_left -= part;
  } else if ((part = stream->upload.len - stream->uploaded)) {
    if (part > n) part = n;
    memcpy(to, stream->upload.data + stream->uploaded, part);
    stream->uploaded += part;
    if (stream->uploaded == stream->upload.len) stream->uploaded = stream->upload.len = 0;
  }
  if (stream->body_ended && !client_session_unsent(stream)) *flags |= NGHTTP2_DATA_FLAG_EOF;
  if (!part && !stream->body_ended) {
    stream->deferred = true;
    return NGHTTP2_ERR_DEFERRED;
  }
  if (!stream->body_ended)
    client_session_callbacks_note(s, stream); /* there may be room for more */
  return (ssize_t)part;
}

bool client_session_begin(ClientSession *s, ClientStream *stream, const nghttp2_nv *fields,
                          size_t n) {
  nghttp2_data_provider body = {.read_callback = give_body};
  int32_t id = s->library->nghttp2_submit_request(s->h2, NULL, fields, n,
                                                  stream->has_body ? &body : NULL, stream);
  if (id < 0) return false;
  stream->id = id;
  stream->heard = s->heard;
  stream->session = s;
  stream->link = &s->first;
  stream->next = s->first;
  if (stream->next) stream->next->link = &stream->next;
  s->first = stream;
  s->streams++;
  return true;
}

void client_session_end_stream(ClientStream *stream) {
  ClientSession *s = stream->session;
  buffer_free(&stream->upload);
  if (!s) return;
  const Http2Library *lib = s->library;
  forget_change(s, stream);
  *stream->link = stream->next;
  if (stream->next) stream->next->link = stream->link;
  s->streams--;
  if (stream->id) {
    client_session_stray(s, stream);
    lib->nghttp2_session_set_stream_user_data(s->h2, stream->id, NULL);
    lib->nghttp2_submit_rst_stream(s->h2, NGHTTP2_FLAG_NONE, stream->id,
                                   stream->response->complete ? NGHTTP2_NO_ERROR : NGHTTP2_CANCEL);
  }
  *stream = (ClientStream){0};
}

bool client_session_write(ClientStream *stream, const char *bytes, size_t n) {
  Buffer *b = &stream->upload;
  if (stream->uploaded > b->len / 2) {
    memmove(b->data, b->data + stream->uploaded, b->len - stream->uploaded);
    b->len -= stream->uploaded;
    stream->uploaded = 0;
  }
  if (!buffer_add(b, bytes, n)) return false;
  ClientSession *s = stream->session;
  if (stream->deferred) s->library->nghttp2_session_resume_data(s->h2, stream->id);
  stream->deferred = false;
  return true;
}

void client_session_end_body(ClientStream *stream) {
  ClientSession *s = stream->session;
  stream->body_ended = true;
  if (stream->deferred) s->library->nghttp2_session_resume_data(s->h2, stream->id);
  stream->deferred = false;
}

void client_session_advance(ClientStream *stream, size_t n) {
  if (stream->body_ended || !stream->id || stream->ahead > CLIENT_STREAM_WIDE_PIECES) return;
  stream->ahead += n;
  stream->session->library->nghttp2_session_consume_stream(stream->session->h2, stream->id, n);
}

void client_session_taken(ClientStream *stream, size_t n) {
  ClientSession *s = stream->session;
  if (!stream->id) return; /* it has ended */
  const Http2Library *lib = s->library;
  size_t before = n < stream->ahead ? n : stream->ahead;
  stream->ahead -= before;
  n -= before;
  if (n) lib->nghttp2_session_consume_stream(s->h2, stream->id, n);
  bool is_whole = !stream->response->by_pieces;
  if (stream->is_wide || stream->came < CLIENT_STREAM_WINDOW / 2) return;
  if (!is_whole && client_response_waiting(stream->response)) return;
  stream->is_wide = true;
  lib->nghttp2_session_set_local_window_size(
      s->h2, 0, stream->id, is_whole ? CLIENT_STREAM_WIDE : CLIENT_STREAM_WIDE_PIECES);
}
