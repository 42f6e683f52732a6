/* permessage-deflate (RFC 7692): what the two sides agree on, and messages smaller and back.

   Without takeover each message stands for itself. Then all sockets of a runtime share one state of
   zlib for each direction, so that an idle one has none. */
#ifndef ML_WS_DEFLATE_H
#define ML_WS_DEFLATE_H

#include "base/buffer.h"
#include <stdint.h>

#define WS_DEFLATE_WINDOW 12 /* 2^12 bytes: packs short messages as well as 2^15 */
#define WS_DEFLATE_MIN 256   /* bytes: a shorter message gains nothing */

/* What was agreed on; `window` 0: no compression. */
typedef struct WsDeflate {
  uint32_t min;        /* bytes of a message below which we leave it as it is */
  uint8_t window;      /* of what we compress: 9 to 15 */
  uint8_t peer_window; /* of what the peer does */
  bool takeover, peer_takeover;
} WsDeflate;

/* What a side wants: {window = 12, takeover = false, min = 256} of the scripts, in the fields
   `window`, `takeover` and `min`. */

/* For a server: takes the first offer of a client's Sec-WebSocket-Extensions that can be met.
   Writes the answer to `answer`, which has room for WS_DEFLATE_TEXT bytes, and `agreed`. False:
   none. */
#define WS_DEFLATE_TEXT 160
bool ws_deflate_accept(const char *offers, size_t n, const WsDeflate *want, char *answer,
                       WsDeflate *agreed);

/* For a client: writes its offer; and reads the server's answer. False: it is not one to that
   offer. */
void ws_deflate_offer(const WsDeflate *want, char *offer);
bool ws_deflate_agree(const char *answer, size_t n, const WsDeflate *want, WsDeflate *agreed);

/* States of zlib: of a runtime, or of one socket with takeover. All zero at first. */
typedef struct WsDeflater {
  struct z_stream_s *out[16]; /* by window; made at first use */
  struct z_stream_s *in;
} WsDeflater;
void ws_deflate_free(WsDeflater *d);

/* Appends the compressed message to `out`, or nothing, if that is not shorter and the peer needs
   not see it. False: memory is out. `d` is the socket's own with takeover. */
bool ws_deflate_pack(WsDeflater *d, const WsDeflate *agreed, const char *bytes, size_t n,
                     Buffer *out);

/* Appends what the message holds to `out`: at most `max` bytes. Returns 0, or the code of a Close
   frame: WS_CODE_TOO_BIG, WS_CODE_BAD_DATA, WS_CODE_INTERNAL. `d` is the socket's own if the peer
   has takeover. */
unsigned ws_deflate_unpack(WsDeflater *d, const WsDeflate *agreed, const char *bytes, size_t n,
                           size_t max, Buffer *out);

#endif
