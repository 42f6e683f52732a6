/* Frames of WebSocket (RFC 6455 section 5.2): their heads, and masking. Nothing here allocates. */
#ifndef ML_WS_FRAME_H
#define ML_WS_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum WsOpcode {
  WS_CONTINUATION = 0,
  WS_TEXT = 1,
  WS_BINARY = 2,
  WS_CLOSE = 8,
  WS_PING = 9,
  WS_PONG = 10,
} WsOpcode;

/* Codes of a Close frame (section 7.4.1). */
typedef enum WsCode {
  WS_CODE_NORMAL = 1000,
  WS_CODE_GOING_AWAY = 1001,
  WS_CODE_PROTOCOL = 1002,
  WS_CODE_NONE = 1005, /* the Close frame had none; never sent */
  WS_CODE_LOST = 1006, /* there was no Close frame; never sent */
  WS_CODE_BAD_DATA = 1007,
  WS_CODE_POLICY = 1008,
  WS_CODE_TOO_BIG = 1009,
  WS_CODE_INTERNAL = 1011,
  WS_CODE_RESTART = 1012,
  WS_CODE_TRY_LATER = 1013,
} WsCode;

#define WS_HEAD_MAX 14     /* bytes of the longest head */
#define WS_CONTROL_MAX 125 /* bytes of the longest payload of a control frame */

typedef struct WsHead {
  uint64_t len; /* of the payload */
  char key[4];  /* if it is masked */
  uint8_t opcode;
  uint8_t size; /* of the head */
  bool is_final, is_masked;
  uint8_t reserved; /* the bits RSV1 (4), RSV2 (2) and RSV3 (1) */
} WsHead;

/* Reads a head from the first bytes of a frame. 1: it is complete; 0: more bytes are needed; -1:
   its length is not written in the shortest way, or above 2^63. */
int ws_frame_read_head(const char *bytes, size_t n, WsHead *head);

/* Writes a head to `out`, which has room for WS_HEAD_MAX bytes. `first` is the opcode with the bits
   FIN (0x80) and RSV1 (0x40); `key` has four bytes, or is NULL: not masked. Returns its size. */
size_t ws_frame_write_head(char *out, unsigned first, uint64_t len, const char *key);

/* Masks or unmasks `n` bytes of a payload, of which `at` came before, from `in` to `out`; these may
   be the same. */
void ws_frame_mask(char *out, const char *in, size_t n, const char *key, uint64_t at);

/* May this code be in a Close frame? */
bool ws_frame_code_is_valid(unsigned code);

#endif
