#include "http/server/http2_frames.h"

#include <string.h>

enum {
  DATA = 0,
  PRIORITY = 2,
  RST_STREAM = 3,
  WINDOW_UPDATE = 8,
  CONTINUATION = 9,
  PRIORITY_LENGTH = 5,
  WINDOW_UPDATE_LENGTH = 4
};

static uint32_t number_at(const uint8_t *p) {
  return (p[0] & 0x7fu) << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static uint32_t length_of(const Http2Frames *f) {
  return (uint32_t)f->head[0] << 16 | (uint32_t)f->head[1] << 8 | f->head[2];
}

/* How many bytes of the frame matter, once its head is there. */
static size_t count_wanted(const Http2Frames *f) {
  if (f->n < HTTP2_FRAME_HEAD) return HTTP2_FRAME_HEAD;
  bool more = (f->head[3] == PRIORITY && length_of(f) == PRIORITY_LENGTH) ||
              (f->head[3] == WINDOW_UPDATE && length_of(f) == WINDOW_UPDATE_LENGTH);
  return more ? HTTP2_FRAMES_LOOK : HTTP2_FRAME_HEAD;
}

/* What matters of it is there. */
static Http2Frame judge(Http2Frames *f) {
  f->stream = (int32_t)number_at(f->head + 5);
  uint32_t number = f->n == HTTP2_FRAMES_LOOK ? number_at(f->head + HTTP2_FRAME_HEAD) : 0;
  bool looked = f->n == HTTP2_FRAMES_LOOK;
  f->left = length_of(f) - (f->n - HTTP2_FRAME_HEAD);
  f->n = 0;
  switch (f->head[3]) {
  case DATA:
    return HTTP2_FRAME_DATA;
  case RST_STREAM:
    return HTTP2_FRAME_RESET;
  case PRIORITY:
    return looked && (!f->stream || number == (uint32_t)f->stream) ? HTTP2_FRAME_WRONG
                                                                   : HTTP2_FRAME_IGNORED;
  case WINDOW_UPDATE:
    return looked && !number ? HTTP2_FRAME_NO_WINDOW : HTTP2_FRAME_NONE;
  default:
    return f->head[3] > CONTINUATION ? HTTP2_FRAME_IGNORED : HTTP2_FRAME_NONE;
  }
}

size_t http2_frames_look(Http2Frames *f, const char *bytes, size_t n, Http2Frame *found) {
  const char *p = bytes, *end = bytes + n;
  *found = HTTP2_FRAME_NONE;
  while (p < end && *found == HTTP2_FRAME_NONE) {
    size_t part = f->left ? f->left : count_wanted(f) - f->n;
    if (part > (size_t)(end - p)) part = (size_t)(end - p);
    if (f->left) {
      f->left -= (uint32_t)part;
      if (!f->left && f->was_found) {
        f->was_found = false;
        return (size_t)(p + part - bytes);
      }
    } else {
      memcpy(f->head + f->n, p, part);
      f->n += (uint8_t)part;
      if (f->n >= HTTP2_FRAME_HEAD && f->n == count_wanted(f)) {
        *found = judge(f);
        f->was_found = *found != HTTP2_FRAME_NONE && f->left;
      }
    }
    p += part;
  }
  return (size_t)(p - bytes);
}

static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

Http2Preface http2_frames_preface(const char *bytes, size_t n) {
  size_t known = n < sizeof preface - 1 ? n : sizeof preface - 1;
  if (!memcmp(bytes, preface, known)) return known < 3 ? HTTP2_PREFACE_MAYBE : HTTP2_PREFACE_IS;
  const char *end = memchr(bytes, '\n', n);
  if (!end || *bytes == '\r' || *bytes == '\n') return HTTP2_PREFACE_HTTP1;
  return memmem(bytes, (size_t)(end - bytes), " HTTP/", 6) ? HTTP2_PREFACE_HTTP1
                                                           : HTTP2_PREFACE_NEITHER;
}
