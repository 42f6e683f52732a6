/* Puts the messages of a WebSocket together from the bytes of its peer (RFC 6455 sections 5
   and 8.1), however these come in pieces. Knows neither sockets nor tasks.

   Memory grows with the bytes that have come, never by a length that a head declares. A message
   that is compressed is kept as it came (ws_deflate.h takes it apart). */
#ifndef ML_WS_READER_H
#define ML_WS_READER_H

#include "base/utf8_check.h"
#include "websocket/ws_frame.h"

/* A message, or the payload of a control frame. */
typedef struct WsInbound {
  struct WsInbound *next; /* for its owner */
  size_t len, cap;
  uint8_t opcode; /* WS_TEXT, WS_BINARY, or that of the control frame */
  bool is_deflated;
  char bytes[];
} WsInbound;

typedef enum WsEvent {
  WS_EVENT_NONE,    /* all bytes are used */
  WS_EVENT_MESSAGE, /* complete, and checked as far as it is not compressed: ws_reader_take */
  WS_EVENT_CONTROL, /* `control` and `control_len`, good until the next call */
  WS_EVENT_FAILED,  /* `code` and `why`: nothing more is to be read */
} WsEvent;

/* Frames that lead nowhere, which nothing holds back: pings, pongs, and fragments without a byte. A
   peer may send as many at once, and then some each second. A message makes good for a few. */
enum { WS_NOISE_MOST = 2000, WS_NOISE_FORGIVEN = 200 /* a second */, WS_NOISE_WORTH = 4 };

/* All zero but for the first three is a reader at the beginning. */
typedef struct WsReader {
  size_t max_message;
  bool wants_mask;  /* its peer is a client */
  bool may_deflate; /* permessage-deflate was agreed on */

  bool in_frame; /* its head is read */
  bool is_final;
  uint8_t opcode; /* of the frame; WS_TEXT and so on for those that continue, too */
  uint8_t head_len;
  uint8_t control_len;
  char head[WS_HEAD_MAX]; /* what there is of it, if it came in pieces */
  char key[4];
  Utf8Check text;
  uint64_t left, at;  /* bytes of the frame's payload to come; and before */
  WsInbound *message; /* begun */
  WsInbound *partial; /* a control frame that came in pieces */
  const char *control;
  unsigned noise; /* frames that lead nowhere, but for those that are forgiven */

  unsigned code;
  const char *why;
} WsReader;

/* Goes on with the next bytes, which may be changed, and advances both by what was used. */
WsEvent ws_reader_next(WsReader *r, char **bytes, size_t *n);

/* So much time has passed since the last time. */
static inline void ws_reader_forgive(WsReader *r, uint64_t seconds) {
  uint64_t forgiven = seconds * WS_NOISE_FORGIVEN;
  r->noise = r->noise > forgiven ? r->noise - (unsigned)forgiven : 0;
}

/* The complete message; the caller frees it with free. */
WsInbound *ws_reader_take(WsReader *r);

/* Frees what is begun. */
void ws_reader_free(WsReader *r);

/* The code of a Close frame's payload: one that is valid, WS_CODE_NONE if it is empty, or 0 with
   `*why`: the connection fails, with `*code`. The reason is behind the first two bytes. */
unsigned ws_reader_close_code(const char *payload, size_t n, unsigned *code, const char **why);

#endif
