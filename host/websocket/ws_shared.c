#include "websocket/ws_shared.h"

#include "websocket/ws_link.h"
#include <sodium.h>

enum { POOLED = BUFFER_POOL_SIZE(4096), SPARE = 64, KEPT = 64 * 1024 };

static void on_close(CloseHook *hook, Runtime *rt) {
  WsShared *shared = container_of(hook, WsShared, close_hook);
  rt->websockets = NULL;
  runtime_not_at_pass_end(rt, &shared->pass);
  while (shared->first) { /* nothing is sent any more */
    struct WsLink *link = shared->first;
    shared->first = link->next;
    ws_link_drop(link);
  }
  shared->last = NULL; /* and nothing is queued */
  ws_shared_release(shared);
}

WsShared *ws_shared_of(Runtime *rt) {
  WsShared *shared = rt->websockets;
  if (shared) {
    shared->refs++;
    return shared;
  }
  if (rt->closing || sodium_init() < 0) return NULL;
  shared = calloc(1, sizeof *shared);
  char *room = shared ? malloc(WS_ROOM) : NULL;
  if (!room) {
    free(shared);
    return NULL;
  }
  *shared = (WsShared){.rt = rt,
                       .close_hook.close = on_close,
                       .refs = 2,
                       .pass.run = ws_link_flush_all,
                       .room = room,
                       .pool.size = POOLED,
                       .keys_at = sizeof shared->keys};
  shared->last = &shared->first;
  rt->websockets = shared;
  ml_runtime_on_close(rt, &shared->close_hook);
  return shared;
}

void ws_shared_release(WsShared *shared) {
  if (--shared->refs) {
    buffer_pool_trim(&shared->pool, SPARE);
    return;
  }
  buffer_pool_trim(&shared->pool, 0);
  ws_link_free_batch(shared->batch);
  ws_deflate_free(&shared->deflater);
  buffer_free(&shared->packed);
  buffer_free(&shared->unpacked);
  free(shared->room);
  free(shared);
}

const char *ws_shared_key(WsShared *shared) {
  if (shared->keys_at == sizeof shared->keys) {
    randombytes_buf(shared->keys, sizeof shared->keys);
    shared->keys_at = 0;
  }
  const char *key = shared->keys + shared->keys_at;
  shared->keys_at += 4;
  return key;
}

void ws_shared_trim(Buffer *b) {
  b->len = 0;
  if (b->cap > KEPT) buffer_free(b);
}
