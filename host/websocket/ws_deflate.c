#include "websocket/ws_deflate.h"

#include "websocket/ws_frame.h"
#include <stdlib.h>
#include <zlib.h>

/* Level 1 packs short messages as well as 6 does, and memory level 5 is enough for a window of 4
 * kB.
 */
enum { LEVEL = 1, MEMORY_LEVEL = 5, WINDOW_MIN = 9, WINDOW_MAX = 15 };

/* Bytes of room that a step of zlib gets at least. */
#define STEP ((size_t)1024)

/* Blocks of a message that say that they are the last one. No compressor writes more than one or
   two, and each costs as much as a message. */
enum { MOST_LAST = 16 };

/* What a block ends with that is left out of a message (section 7.2.1). */
static const char tail[4] = {0, 0, (char)0xFF, (char)0xFF};

static void free_out(z_stream *z) {
  if (!z) return;
  deflateEnd(z);
  free(z);
}

static void free_in(z_stream *z) {
  if (!z) return;
  inflateEnd(z);
  free(z);
}

void ws_deflate_free(WsDeflater *d) {
  for (size_t i = 0; i < sizeof d->out / sizeof *d->out; i++) free_out(d->out[i]);
  free_in(d->in);
  *d = (WsDeflater){0};
}

static z_stream *out_of(WsDeflater *d, int window) {
  if (d->out[window]) return d->out[window];
  z_stream *z = calloc(1, sizeof *z);
  if (!z) return NULL;
  if (deflateInit2(z, LEVEL, Z_DEFLATED, -window, MEMORY_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK) {
    free(z);
    return NULL;
  }
  return d->out[window] = z;
}

/* A window of the greatest size reads what any smaller one has written. */
static z_stream *in_of(WsDeflater *d, int window) {
  if (d->in) return d->in;
  z_stream *z = calloc(1, sizeof *z);
  if (!z) return NULL;
  if (inflateInit2(z, -window) != Z_OK) {
    free(z);
    return NULL;
  }
  return d->in = z;
}

bool ws_deflate_pack(WsDeflater *d, const WsDeflate *agreed, const char *bytes, size_t n,
                     Buffer *out) {
  size_t before = out->len, room = STEP;
  z_stream *z = out_of(d, agreed->window);
  if (!z) return false;
  z->next_in = (Bytef *)(uintptr_t)bytes;
  z->avail_in = (uInt)n;
  for (;;) {
    if (!buffer_reserve(out, room)) return false;
    room = out->cap - out->len;
    z->next_out = (Bytef *)out->data + out->len;
    z->avail_out = (uInt)(room < UINT32_MAX ? room : UINT32_MAX);
    uInt given = z->avail_out;
    deflate(z, Z_SYNC_FLUSH);
    out->len += given - z->avail_out;
    if (z->avail_out) break;
    room = out->len - before;
  }
  if (!agreed->takeover) deflateReset(z);
  out->len -= sizeof tail;
  if (!agreed->takeover && out->len - before >= n) out->len = before;
  return true;
}

/* A block that says that it is the last one is followed by more; what came before stays known
   (section 7.2.3.5). */
static bool go_on_after_last(z_stream *z) {
  unsigned char window[1 << WINDOW_MAX];
  uInt size = 0;
  return inflateGetDictionary(z, window, &size) == Z_OK && inflateReset(z) == Z_OK &&
         inflateSetDictionary(z, window, size) == Z_OK;
}

/* Feeds zlib with a piece of the message. */
static unsigned unpack_piece(z_stream *z, const char *bytes, size_t n, size_t most, Buffer *out) {
  int last = 0;
  z->next_in = (Bytef *)(uintptr_t)bytes;
  z->avail_in = (uInt)n;
  for (;;) {
    size_t have = out->len, room = most - have;
    if (room > STEP) {
      size_t step = 4 * n > STEP ? 4 * n : STEP;
      room = room < step ? room : step;
    }
    if (!buffer_reserve(out, room)) return WS_CODE_INTERNAL;
    z->next_out = (Bytef *)out->data + have;
    z->avail_out = (uInt)room;
    int status = inflate(z, Z_SYNC_FLUSH);
    out->len += room - z->avail_out;
    if (status == Z_MEM_ERROR) return WS_CODE_INTERNAL;
    if (status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR) return WS_CODE_BAD_DATA;
    if (out->len == most) return WS_CODE_TOO_BIG;
    if (status == Z_STREAM_END && (++last > MOST_LAST || !go_on_after_last(z)))
      return WS_CODE_BAD_DATA;
    if (!z->avail_in && z->avail_out) return 0;
  }
}

unsigned ws_deflate_unpack(WsDeflater *d, const WsDeflate *agreed, const char *bytes, size_t n,
                           size_t max, Buffer *out) {
  z_stream *z = in_of(d, agreed->peer_takeover ? agreed->peer_window : WINDOW_MAX);
  if (!z) return WS_CODE_INTERNAL;
  /* One byte more than it may have says that it has too many. */
  size_t most = max < SIZE_MAX / 2 - out->len ? out->len + max + 1 : SIZE_MAX / 2;
  unsigned code = unpack_piece(z, bytes, n, most, out);
  if (!code) code = unpack_piece(z, tail, sizeof tail, most, out);
  if (!code && !(z->data_type & 128)) code = WS_CODE_BAD_DATA; /* it ends inside a block */
  if (code || !agreed->peer_takeover) inflateReset(z);
  return code;
}
