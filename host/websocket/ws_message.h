/* A message for many WebSockets: its frame is made once, and once more if it is compressed. */
#ifndef ML_WS_MESSAGE_H
#define ML_WS_MESSAGE_H

#include "base/buffer.h"
#include "websocket/ws_deflate.h"

/* Counted, and never changed but for the frames that are made at first use. Belongs to one runtime.
 */
typedef struct WsMessage {
  size_t refs;
  bool is_text;
  Buffer frame;        /* of a server: not masked */
  size_t head;         /* where the payload begins in it */
  Buffer deflated[16]; /* by window: the same, compressed; empty: not made yet, or not shorter */
  uint16_t tried;      /* a bit for each of these */
} WsMessage;

/* A message with one reference, or NULL if memory is out. The bytes are copied; a text is UTF-8. */
WsMessage *ws_message_new(const char *bytes, size_t n, bool is_text);
static inline WsMessage *ws_message_retain(WsMessage *message) {
  message->refs++;
  return message;
}
void ws_message_release(WsMessage *message);

/* The frame for a socket that has agreed on `deflate`, without takeover, or on nothing. */
void ws_message_frame(WsMessage *message, WsDeflater *deflater, const WsDeflate *deflate,
                      const char **bytes, size_t *n);

#endif
