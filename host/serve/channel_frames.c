#include "serve/channel_frames.h"

void channel_frames_head(char head[CHANNEL_HEAD], size_t n) {
  for (int i = 0; i < CHANNEL_HEAD; i++) head[i] = (char)(n >> 8 * i & 0xff);
}

static size_t length_of(const char *head) {
  size_t n = 0;
  for (int i = 0; i < CHANNEL_HEAD; i++) n |= (size_t)(unsigned char)head[i] << 8 * i;
  return n;
}

bool channel_frames_whole(const char *bytes, size_t n, size_t *whole) {
  size_t at = 0;
  while (n - at >= CHANNEL_HEAD) {
    size_t length = length_of(bytes + at);
    if (length > CHANNEL_MESSAGE_MAX) return false;
    if (n - at - CHANNEL_HEAD < length) break;
    at += CHANNEL_HEAD + length;
  }
  *whole = at;
  return true;
}

const char *channel_frames_next(const char **at, size_t *left, size_t *n) {
  if (*left < CHANNEL_HEAD) return NULL;
  const char *bytes = *at + CHANNEL_HEAD;
  *n = length_of(*at);
  *at = bytes + *n;
  *left -= CHANNEL_HEAD + *n;
  return bytes;
}
