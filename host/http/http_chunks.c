#include "http/http_chunks.h"

#include <stdbool.h>

/* What comes next. */
enum {
  SIZE_BEGINS,
  SIZE,
  EXTENSION_MUST, /* after space: another extension */
  EXTENSION_MAY,  /* after a value */
  NAME_BEGINS,
  NAME,
  NAME_OVER, /* after space: '=' or another extension */
  VALUE_BEGINS,
  VALUE,
  QUOTED,
  QUOTED_PAIR,
  SIZE_LF,
  DATA,
  DATA_CR,
  DATA_LF,
  TRAILER_BEGINS,
  TRAILER_NAME,
  TRAILER_VALUE,
  TRAILER_LF,
  LAST_LF,
  OVER,
};

/* The characters of a token, RFC 9110 section 5.6.2. */
static const bool is_token[256] = {
    ['!'] = true,         ['#' ... '\''] = true, ['*'] = true,         ['+'] = true,
    ['-'] = true,         ['.'] = true,          ['0' ... '9'] = true, ['A' ... 'Z'] = true,
    ['^' ... 'z'] = true, ['|'] = true,          ['~'] = true,
};

/* The characters of a field's value and of a quoted string: sections 5.5 and 5.6.4. */
static const bool is_text[256] = {['\t'] = true, [' ' ... '~'] = true, [0x80 ... 0xff] = true};

static bool in(const bool class[256], char c) { return class[(unsigned char)c]; }

static bool is_space(char c) { return c == ' ' || c == '\t'; }

static int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  c = (char)(c | 0x20);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

void http_chunks_open(HttpChunks *c, uint64_t spare, uint32_t max_trailers) {
  *c = (HttpChunks){.spare = spare, .trailers = max_trailers, .state = SIZE_BEGINS};
}

/* Takes one more digit of the size. False if it is not a digit, or one too many. */
static bool read_size(HttpChunks *c, char byte) {
  int digit = hex_digit(byte);
  if (digit < 0 || c->left >> 59) return false; /* 2^63 bytes and more are an attack */
  c->left = c->left << 4 | (unsigned)digit;
  c->state = SIZE;
  return true;
}

/* Reads the byte after the size, an extension's name or its value. `space` is the next state if it
   is space. */
static bool end_part(HttpChunks *c, char byte, unsigned space) {
  if (byte == '\r')
    c->state = SIZE_LF;
  else if (byte == ';')
    c->state = NAME_BEGINS;
  else if (is_space(byte))
    c->state = (uint8_t)space;
  else
    return false;
  return true;
}

/* Reads a byte of a chunk's line after its size: chunk-ext, RFC 9112 section 7.1.1. */
static bool read_extension(HttpChunks *c, char byte) {
  switch (c->state) {
  case EXTENSION_MUST:
    if (byte == ';') c->state = NAME_BEGINS;
    return byte == ';' || is_space(byte);
  case EXTENSION_MAY:
    return end_part(c, byte, EXTENSION_MUST);
  case NAME_BEGINS:
    if (in(is_token, byte)) c->state = NAME;
    return in(is_token, byte) || is_space(byte);
  case NAME:
    if (in(is_token, byte)) return true;
    if (byte != '=') return end_part(c, byte, NAME_OVER);
    c->state = VALUE_BEGINS;
    return true;
  case NAME_OVER:
    if (byte == '=') c->state = VALUE_BEGINS;
    if (byte == ';') c->state = NAME_BEGINS;
    return byte == '=' || byte == ';' || is_space(byte);
  case VALUE_BEGINS:
    if (byte == '"') c->state = QUOTED;
    if (in(is_token, byte)) c->state = VALUE;
    return byte == '"' || in(is_token, byte) || is_space(byte);
  case VALUE:
    return in(is_token, byte) || end_part(c, byte, EXTENSION_MUST);
  case QUOTED:
    if (byte == '"') c->state = EXTENSION_MAY;
    if (byte == '\\') c->state = QUOTED_PAIR;
    return in(is_text, byte);
  default: /* QUOTED_PAIR */
    c->state = QUOTED;
    return in(is_text, byte);
  }
}

static bool expect(HttpChunks *c, char byte, char wanted, unsigned next) {
  c->state = (uint8_t)next;
  return byte == wanted;
}

/* Reads a byte of a trailer's name; `line` is how much of it matches `framing`. A trailer that
   would frame the body again is an attack; others are ignored. */
static bool read_trailer_name(HttpChunks *c, char byte) {
  static const char framing[] = "transfer-encoding";
  enum { WHOLE = sizeof framing - 1, ANOTHER };
  if (byte == ':') {
    c->state = TRAILER_VALUE;
    return c->line && c->line != WHOLE;
  }
  c->line = c->line < WHOLE && (byte | 0x20) == framing[c->line] ? c->line + 1 : ANOTHER;
  return in(is_token, byte);
}

/* Reads a byte of the trailer section: field lines as in a head. */
static bool read_trailer(HttpChunks *c, char byte) {
  switch (c->state) {
  case TRAILER_BEGINS:
    c->line = 0;
    c->state = byte == '\r' ? LAST_LF : TRAILER_NAME;
    return byte == '\r' || read_trailer_name(c, byte);
  case TRAILER_NAME:
    return read_trailer_name(c, byte);
  case TRAILER_VALUE:
    if (byte == '\r') c->state = TRAILER_LF;
    return byte == '\r' || in(is_text, byte);
  default:
    return expect(c, byte, '\n', c->state == TRAILER_LF ? TRAILER_BEGINS : OVER);
  }
}

/* Reads a byte that is not data. False if it is not allowed there. */
static bool read_byte(HttpChunks *c, char byte) {
  switch (c->state) {
  case SIZE_BEGINS:
    return read_size(c, byte);
  case SIZE:
    return hex_digit(byte) >= 0 ? read_size(c, byte) : end_part(c, byte, EXTENSION_MUST);
  case SIZE_LF:
    c->line = 0;
    return expect(c, byte, '\n', c->left ? DATA : TRAILER_BEGINS);
  case DATA_CR:
    return expect(c, byte, '\r', DATA_LF);
  case DATA_LF:
    return expect(c, byte, '\n', SIZE_BEGINS);
  default:
    return c->state < SIZE_LF ? read_extension(c, byte) : read_trailer(c, byte);
  }
}

/* Counts a byte that is not data. */
static HttpChunksStep count_byte(HttpChunks *c, unsigned before) {
  bool in_trailers = before >= TRAILER_BEGINS;
  if (before < SIZE_LF && ++c->line > HTTP_CHUNKS_MAX_LINE) return HTTP_CHUNKS_LONG;
  if (before == TRAILER_BEGINS && c->state == TRAILER_NAME && !c->trailers--)
    return HTTP_CHUNKS_LONG_TRAILERS;
  if (!c->spare--) return in_trailers ? HTTP_CHUNKS_LONG_TRAILERS : HTTP_CHUNKS_LONG;
  return HTTP_CHUNKS_MORE;
}

static HttpChunksStep take_data(HttpChunks *c, const char **p, const char *end, const char **data,
                                size_t *n) {
  *data = *p;
  *n = (size_t)(end - *p);
  if (*n > c->left) *n = (size_t)c->left;
  *p += *n;
  c->left -= *n;
  c->spare += 8 * (uint64_t)*n;
  if (!c->left) c->state = DATA_CR;
  return HTTP_CHUNKS_DATA;
}

HttpChunksStep http_chunks_read(HttpChunks *c, const char **p, const char *end, const char **data,
                                size_t *n) {
  while (*p < end) {
    unsigned before = c->state;
    if (before == DATA) return take_data(c, p, end, data, n);
    if (!read_byte(c, *(*p)++)) return HTTP_CHUNKS_BAD;
    HttpChunksStep counted = count_byte(c, before);
    if (counted != HTTP_CHUNKS_MORE) return counted;
    if (c->state == OVER) return HTTP_CHUNKS_OVER;
  }
  return HTTP_CHUNKS_MORE;
}
