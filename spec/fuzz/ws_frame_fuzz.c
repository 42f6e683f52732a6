/* Frames of a WebSocket's peer, as a server and as a client read them: in pieces they have to read
   like the same frames whole. The first byte says which side this is, and how long the pieces are.
 */
#include "websocket/ws_reader.h"

#include <stdlib.h>
#include <string.h>

#define MOST 4096

/* A number for all that has happened, up to the end or the failure. */
typedef struct Story {
  uint64_t hash;
  size_t events;
  unsigned code;
} Story;

static void note(Story *story, const char *bytes, size_t n, unsigned what) {
  story->events++;
  story->hash = story->hash * 31 + what;
  for (size_t i = 0; i < n; i++) story->hash = story->hash * 131 + (unsigned char)bytes[i];
}

/* Returns false after the end. */
static bool take(WsReader *r, Story *story, char *bytes, size_t n) {
  for (;;) {
    size_t before = n;
    WsEvent event = ws_reader_next(r, &bytes, &n);
    if (n > before) abort();
    if (event == WS_EVENT_NONE) {
      if (n) abort();
      /* Memory comes with bytes. */
      if (r->message && r->message->cap > 2 * r->message->len) abort();
      return true;
    }
    if (event == WS_EVENT_FAILED) {
      story->code = r->code;
      if (!r->why || !ws_frame_code_is_valid(r->code)) abort();
      return false;
    }
    if (event == WS_EVENT_CONTROL) {
      unsigned code = 0;
      const char *why = NULL;
      if (r->control_len > WS_CONTROL_MAX) abort();
      note(story, r->control, r->control_len, r->opcode);
      if (r->opcode != WS_CLOSE) continue;
      code = ws_reader_close_code(r->control, r->control_len, &code, &why);
      note(story, "", 0, code);
      return false;
    }
    WsInbound *m = ws_reader_take(r);
    if (!m->is_deflated && m->len > r->max_message) abort();
    if (m->opcode == WS_TEXT && !m->is_deflated && !utf8_is_well_formed(m->bytes, m->len)) abort();
    note(story, m->bytes, m->len, m->opcode);
    free(m);
  }
}

static Story read_in(const uint8_t *data, size_t n, size_t step, bool is_server, bool may_deflate) {
  WsReader r = {.max_message = MOST, .wants_mask = is_server, .may_deflate = may_deflate};
  Story story = {0};
  for (size_t at = 0; at < n;) {
    size_t piece = n - at < step ? n - at : step;
    char *copy = malloc(piece); /* so that ASan sees every read beyond it */
    if (!copy) abort();
    memcpy(copy, data + at, piece);
    bool goes_on = take(&r, &story, copy, piece);
    free(copy);
    if (!goes_on) break;
    at += piece;
  }
  ws_reader_free(&r);
  return story;
}

/* What is written is read again. */
static void check_writing(const uint8_t *data, size_t n) {
  char head[WS_HEAD_MAX], masked[256];
  WsHead read = {0};
  const char key[] = {1, 2, 3, 4};
  uint64_t len = n < 8 ? n : 0;
  if (n >= 8) memcpy(&len, data, 8);
  len >>= 1;
  for (int i = 0; i < 2; i++) {
    size_t size = ws_frame_write_head(head, 0x82, len, i ? key : NULL);
    if (ws_frame_read_head(head, size - 1, &read) != 0) abort();
    if (ws_frame_read_head(head, size, &read) != 1 || read.len != len || read.size != size ||
        read.is_masked != (i == 1))
      abort();
  }
  if (n > sizeof masked) n = sizeof masked;
  ws_frame_mask(masked, (const char *)data, n, key, 0);
  size_t half = n / 3;
  ws_frame_mask(masked, masked, half, key, 0);
  ws_frame_mask(masked + half, masked + half, n - half, key, half);
  if (memcmp(masked, data, n) != 0) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (!size) return 0;
  bool is_server = data[0] & 1, may_deflate = data[0] & 2;
  size_t step = 1 + (data[0] >> 2);
  data++;
  size--;
  Story whole = read_in(data, size, size ? size : 1, is_server, may_deflate);
  Story pieces = read_in(data, size, step, is_server, may_deflate);
  if (whole.hash != pieces.hash || whole.events != pieces.events || whole.code != pieces.code)
    abort();
  check_writing(data, size);
  return 0;
}
