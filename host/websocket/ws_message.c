#include "websocket/ws_message.h"

#include "websocket/ws_frame.h"
#include <stdlib.h>

enum { FIN = 0x80, RSV1 = 0x40 };

WsMessage *ws_message_new(const char *bytes, size_t n, bool is_text) {
  WsMessage *m = calloc(1, sizeof *m);
  if (!m) return NULL;
  *m = (WsMessage){.refs = 1, .is_text = is_text};
  if (!buffer_reserve(&m->frame, WS_HEAD_MAX + n)) {
    free(m);
    return NULL;
  }
  m->head = ws_frame_write_head(m->frame.data, FIN | (is_text ? WS_TEXT : WS_BINARY), n, NULL);
  m->frame.len = m->head;
  buffer_add(&m->frame, bytes, n);
  return m;
}

void ws_message_release(WsMessage *message) {
  if (--message->refs) return;
  buffer_free(&message->frame);
  for (size_t i = 0; i < sizeof message->deflated / sizeof *message->deflated; i++)
    buffer_free(&message->deflated[i]);
  free(message);
}

/* Stays empty if that is not shorter, or memory is out. */
static void make_deflated(WsMessage *m, WsDeflater *deflater, const WsDeflate *deflate) {
  Buffer packed = {0}, *frame = &m->deflated[deflate->window];
  size_t n = m->frame.len - m->head;
  m->tried |= (uint16_t)(1u << deflate->window);
  if (ws_deflate_pack(deflater, deflate, m->frame.data + m->head, n, &packed) && packed.len &&
      buffer_reserve(frame, WS_HEAD_MAX + packed.len)) {
    unsigned first = FIN | RSV1 | (m->is_text ? WS_TEXT : WS_BINARY);
    frame->len = ws_frame_write_head(frame->data, first, packed.len, NULL);
    buffer_add(frame, packed.data, packed.len);
  }
  buffer_free(&packed);
}

void ws_message_frame(WsMessage *message, WsDeflater *deflater, const WsDeflate *deflate,
                      const char **bytes, size_t *n) {
  const Buffer *frame = &message->frame;
  size_t len = frame->len - message->head;
  if (deflate->window && len && len >= deflate->min) {
    if (!(message->tried >> deflate->window & 1)) make_deflated(message, deflater, deflate);
    if (message->deflated[deflate->window].len) frame = &message->deflated[deflate->window];
  }
  *bytes = frame->data;
  *n = frame->len;
}
