/* What the WebSockets of a runtime share, so that an idle one holds no buffers. */
#ifndef ML_WS_SHARED_H
#define ML_WS_SHARED_H

#include "base/buffer_pool.h"
#include "core/runtime.h"
#include "websocket/ws_deflate.h"

#define WS_ROOM (64 * 1024) /* bytes read at a time */

struct WsLink;

typedef struct WsShared {
  Runtime *rt;
  CloseHook close_hook;
  size_t refs; /* its links, and the runtime */
  PassHook pass;
  struct WsLink *first, **last; /* those that have something to send at the end of the pass */
  size_t n_queued;
  struct WsBatch *batch;   /* to send it together; made for the first many */
  char *room;              /* where bytes come first */
  BufferPool pool;         /* for what is to be sent */
  WsDeflater deflater;     /* of all sockets without takeover */
  Buffer packed, unpacked; /* where a message is compressed, or was made whole again */
  char keys[256];          /* for masking */
  size_t keys_at;
} WsShared;

/* The runtime's, made at first use, with a reference for the caller; NULL if memory is out. */
WsShared *ws_shared_of(Runtime *rt);
void ws_shared_release(WsShared *shared);

/* A new masking key, which cannot be foreseen (RFC 6455 section 5.3). */
const char *ws_shared_key(WsShared *shared);

/* Frees what a big message has left in a buffer. */
void ws_shared_trim(Buffer *b);

#endif
