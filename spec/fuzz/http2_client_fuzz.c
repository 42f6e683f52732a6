/* Feeds bytes of a server to a session of the client's HTTP/2, whole and in pieces: both must see
   the same responses, and nothing may stay behind. The first byte chooses the size of the pieces,
   the second whether our settings are answered first, and whether the requests have bodies. */
#include "base/container_of.h"
#include "http/client/client_session.h"

#include <stdlib.h>

enum { STREAMS = 3, MAX_BODY = 4096, ANSWERED = 1, UPLOADS = 2 };

typedef struct Request {
  ClientStream stream;
  ClientResponse response;
  Buffer body; /* taken in pieces */
  bool over, good;
} Request;

typedef struct Run {
  const Http2Library *library;
  ClientSession session;
  Request requests[STREAMS];
  Buffer out;
} Run;

#define FIELD(name, value)                                                                         \
  {                                                                                                \
    (uint8_t *)(name), (uint8_t *)(value), sizeof(name) - 1, sizeof(value) - 1,                    \
        NGHTTP2_NV_FLAG_NONE                                                                       \
  }

static void begin(Run *run, int i, bool uploads) {
  Request *r = &run->requests[i];
  bool is_head = i == 1;
  nghttp2_nv fields[] = {FIELD(":method", "GET"), FIELD(":scheme", "http"),
                         FIELD(":authority", "a"), FIELD(":path", "/")};
  if (is_head) fields[0] = (nghttp2_nv)FIELD(":method", "HEAD");
  client_response_open(&r->response, is_head, MAX_BODY, i == 2);
  r->stream = (ClientStream){.response = &r->response,
                             .has_body = uploads && !is_head,
                             .body_ended = i == 0,
                             .body = "0123456789",
                             .body_left = i == 0 ? 10 : 0};
  if (!client_session_begin(&run->session, &r->stream, fields, 4)) abort();
}

static void take(Request *r) {
  ClientResponse *response = &r->response;
  size_t waited;
  while (!response->error &&
         ((waited = client_response_waiting(response)) || response->coder_full)) {
    if (!client_response_take(response, &r->body, 100)) return;
    if (r->stream.session)
      client_session_taken(&r->stream, waited - client_response_waiting(response));
  }
}

static void end(Request *r, bool good) {
  r->over = true;
  r->good = good;
  client_session_end_stream(&r->stream);
  if (r->stream.session || r->stream.upload.data) abort();
}

static void look(Request *r) {
  ClientResponse *response = &r->response;
  if (response->by_pieces) take(r);
  if (response->complete && !response->head_read) abort();
  if (response->error) {
    if (!response->error_kind || !response->error_code) abort();
    end(r, false);
  } else if (response->complete) {
    end(r, true);
  } else if (r->stream.end != CLIENT_STREAM_OPEN) {
    end(r, false);
  } else if (r->stream.has_body && !r->stream.body_ended) {
    if (!client_session_write(&r->stream, "more", 4)) abort();
    if (response->head_read) client_session_end_body(&r->stream);
  }
}

static void look_at_changes(Run *run) {
  for (ClientStream *stream; (stream = client_session_changed(&run->session));)
    look(container_of(stream, Request, stream));
}

static void pull(Run *run) {
  for (int i = 0; i < 100; i++) {
    run->out.len = 0;
    if (!client_session_pull(&run->session, &run->out, 1000)) abort();
    look_at_changes(run);
    if (!run->out.len) return;
  }
}

static void feed(Run *run, const uint8_t *data, size_t size, size_t piece) {
  for (size_t at = 0; at < size; at += piece) {
    size_t n = size - at < piece ? size - at : piece;
    char *copy = malloc(n); /* so that ASan sees every read beyond the piece */
    if (!copy) abort();
    memcpy(copy, data + at, n);
    bool ok = client_session_feed(&run->session, copy, n, at);
    free(copy);
    look_at_changes(run);
    if (!ok && !*run->session.error) abort();
    if (!ok) return;
    pull(run);
    if (run->session.is_broken) return;
  }
}

static void play(Run *run, const uint8_t *data, size_t size, size_t piece, uint8_t flags) {
  static const uint8_t answers[] = {0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0};
  if (!client_session_open(&run->session, run->library)) abort();
  for (int i = 0; i < STREAMS; i++) begin(run, i, flags & UPLOADS);
  pull(run);
  if (flags & ANSWERED) feed(run, answers, sizeof answers, sizeof answers);
  feed(run, data, size, piece);
  unsigned open = 0;
  for (int i = 0; i < STREAMS; i++) open += run->requests[i].stream.session != NULL;
  if (run->session.streams != open) abort();
  client_session_leave(&run->session);
  for (int i = 0; i < STREAMS; i++)
    if (!run->requests[i].over) end(&run->requests[i], false);
  if (run->session.streams || run->session.changed) abort();
  pull(run);
  client_session_close(&run->session);
}

static bool same(const Buffer *a, const Buffer *b) {
  return a->len == b->len && (!a->len || !memcmp(a->data, b->data, a->len));
}

static void compare(const Request *a, const Request *b) {
  if (!a->good || !b->good) return;
  const ClientResponse *r = &a->response, *s = &b->response;
  if (r->status != s->status || !same(&r->head, &s->head)) abort();
  if (!same(&r->body, &s->body) || !same(&a->body, &b->body)) abort();
  if (r->body.len > MAX_BODY || a->body.len > MAX_BODY) abort();
}

static void drop(Run *run) {
  for (int i = 0; i < STREAMS; i++) {
    client_response_reset(&run->requests[i].response);
    client_response_close(&run->requests[i].response);
    buffer_free(&run->requests[i].body);
  }
  buffer_free(&run->out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const char *why;
  if (size < 2) return 0;
  Run whole = {.library = http2_library(&why)}, cut = {.library = whole.library};
  if (!whole.library) abort();
  play(&whole, data + 2, size - 2, size, data[1]);
  play(&cut, data + 2, size - 2, data[0] % 64 + 1u, data[1]);
  for (int i = 0; i < STREAMS; i++) compare(&whole.requests[i], &cut.requests[i]);
  drop(&whole);
  drop(&cut);
  return 0;
}
