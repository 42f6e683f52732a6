/* Finds, in what a client sends, the frames that nghttp2 lets pass though they are mistakes, or
   that it does not tell of. */
#ifndef ML_HTTP2_FRAMES_H
#define ML_HTTP2_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HTTP2_FRAME_HEAD = 9, HTTP2_FRAMES_LOOK = HTTP2_FRAME_HEAD + 4 };

typedef enum Http2Frame {
  HTTP2_FRAME_NONE,
  HTTP2_FRAME_DATA,    /* begins */
  HTTP2_FRAME_RESET,   /* RST_STREAM begins */
  HTTP2_FRAME_IGNORED, /* a priority of RFC 7540 (RFC 9113 section 5.3.2), or of unknown type */
  HTTP2_FRAME_WRONG, /* a priority of no stream, or that depends on itself (RFC 7540 5.3.1, 6.3) */
  HTTP2_FRAME_NO_WINDOW, /* WINDOW_UPDATE by nothing (RFC 9113 section 6.9) */
} Http2Frame;

/* Where in the client's frames we are. */
typedef struct Http2Frames {
  uint8_t head[HTTP2_FRAMES_LOOK];
  uint8_t n;      /* bytes of it */
  uint32_t left;  /* bytes until the next frame */
  bool was_found; /* the frame whose bytes these are */
  int32_t stream; /* of the frame that was found */
} Http2Frames;

enum { HTTP2_PREFACE = 24 }; /* bytes with which a client begins */

/* What a connection that begins with these bytes speaks (section 3.4): HTTP/2; that or HTTP/1, for
   less than three; HTTP/1; or, after a line that is of neither, nothing that we know. */
typedef enum Http2Preface {
  HTTP2_PREFACE_IS,
  HTTP2_PREFACE_MAYBE,
  HTTP2_PREFACE_HTTP1,
  HTTP2_PREFACE_NEITHER
} Http2Preface;
Http2Preface http2_frames_preface(const char *bytes, size_t n);

/* The first `skipped` bytes are no frames. */
static inline void http2_frames_open(Http2Frames *f, uint32_t skipped) {
  *f = (Http2Frames){.left = skipped};
}

/* Looks at the next `n` bytes, up to the begin of such a frame, or to its end, so that what was
   seen before can have its effect. Returns how many it has seen. */
size_t http2_frames_look(Http2Frames *f, const char *bytes, size_t n, Http2Frame *found);

#endif
