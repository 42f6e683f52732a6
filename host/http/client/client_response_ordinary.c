#include "http/client/client_response_ordinary.h"

#include "http/http_header.h"

/* The bytes of a name (a token, RFC 9110 section 5.6.2), in lower case; others are 0. */
static const uint8_t name_byte[256] = {
    ['!'] = '!', ['#'] = '#', ['$'] = '$', ['%'] = '%', ['&'] = '&', ['\''] = '\'', ['*'] = '*',
    ['+'] = '+', ['-'] = '-', ['.'] = '.', ['^'] = '^', ['_'] = '_', ['`'] = '`',   ['|'] = '|',
    ['~'] = '~', ['0'] = '0', ['1'] = '1', ['2'] = '2', ['3'] = '3', ['4'] = '4',   ['5'] = '5',
    ['6'] = '6', ['7'] = '7', ['8'] = '8', ['9'] = '9', ['A'] = 'a', ['B'] = 'b',   ['C'] = 'c',
    ['D'] = 'd', ['E'] = 'e', ['F'] = 'f', ['G'] = 'g', ['H'] = 'h', ['I'] = 'i',   ['J'] = 'j',
    ['K'] = 'k', ['L'] = 'l', ['M'] = 'm', ['N'] = 'n', ['O'] = 'o', ['P'] = 'p',   ['Q'] = 'q',
    ['R'] = 'r', ['S'] = 's', ['T'] = 't', ['U'] = 'u', ['V'] = 'v', ['W'] = 'w',   ['X'] = 'x',
    ['Y'] = 'y', ['Z'] = 'z', ['a'] = 'a', ['b'] = 'b', ['c'] = 'c', ['d'] = 'd',   ['e'] = 'e',
    ['f'] = 'f', ['g'] = 'g', ['h'] = 'h', ['i'] = 'i', ['j'] = 'j', ['k'] = 'k',   ['l'] = 'l',
    ['m'] = 'm', ['n'] = 'n', ['o'] = 'o', ['p'] = 'p', ['q'] = 'q', ['r'] = 'r',   ['s'] = 's',
    ['t'] = 't', ['u'] = 'u', ['v'] = 'v', ['w'] = 'w', ['x'] = 'x', ['y'] = 'y',   ['z'] = 'z',
};

/* The most common characters of values. */
static const bool is_text[256] = {[' ' ... '~'] = true, [0x80 ... 0xff] = true};

/* The position after the empty line that ends the fields from `p` on, or NULL. */
static const char *find_body(const char *p, const char *end) {
  for (p--; (p = memchr(p, '\n', (size_t)(end - p))) && end - p > 2; p++)
    if (p[1] == '\r' && p[2] == '\n') return p + 3;
  return NULL;
}

/* "HTTP/1.1 200 OK\r\n": returns the start of the fields, or NULL. */
static const char *read_status(const char *p, const char *end, unsigned *status) {
  if (end - p < 15 || memcmp(p, "HTTP/1.1 ", 9) || p[12] != ' ') return NULL;
  *status = 0;
  for (p += 9; *p != ' '; p++) {
    if (*p < '0' || *p > '9') return NULL;
    *status = *status * 10 + (unsigned)(*p - '0');
  }
  if (*status < 200 || *status == 204 || *status == 304) return NULL;
  while (p < end && is_text[(unsigned char)*p]) p++;
  return end - p > 2 && p[0] == '\r' && p[1] == '\n' ? p + 2 : NULL;
}

/* RFC 9112 section 6.2; no more than 15 digits. */
static bool read_length(const char *p, size_t n, uint64_t *length) {
  *length = 0;
  if (!n || n > 15) return false;
  for (; n; p++, n--) {
    if (*p < '0' || *p > '9') return false;
    *length = *length * 10 + (uint64_t)(*p - '0');
  }
  return true;
}

/* Does this field, whose name is `n` bytes long, leave the response ordinary? */
static bool check_field(const char *name, size_t n, const char *value, size_t len, bool *has_length,
                        uint64_t *length) {
#define IS(text) (n == sizeof text - 1 && !memcmp(name, text, sizeof text - 1))
  switch (n) {
  case 7:
    return !IS("upgrade");
  case 10:
    return !IS("connection") || http_header_is(value, len, "keep-alive");
  case 14:
    if (!IS("content-length")) return true;
    if (*has_length) return false;
    *has_length = true;
    return read_length(value, len, length);
  case 16:
    return !IS("content-encoding") && !IS("proxy-connection");
  case 17:
    return !IS("transfer-encoding");
  default:
    return true;
  }
#undef IS
}

/* Reads the line at `p`, which is followed by another one, and writes it to *out with its name in
   lower case and one space after the colon. Returns the start of the next line, or NULL. */
static const char *read_field(const char *p, char **out, bool *has_length, uint64_t *length) {
  char *name = *out, *at = name;
  for (uint8_t c; (c = name_byte[(unsigned char)*p]); p++) *at++ = (char)c;
  size_t name_len = (size_t)(at - name);
  if (!name_len || *p != ':') return NULL;
  do p++;
  while (*p == ' ');
  *at++ = ':';
  *at++ = ' ';
  char *value = at;
  for (; is_text[(unsigned char)*p]; p++) *at++ = *p;
  if (p[0] != '\r' || p[1] != '\n' || (at > value && at[-1] == ' ')) return NULL;
  if (!check_field(name, name_len, value, (size_t)(at - value), has_length, length)) return NULL;
  *at++ = '\r';
  *at++ = '\n';
  *out = at;
  return p + 2;
}

bool client_response_ordinary_read(ClientResponse *r, const char *bytes, size_t n) {
  const char *end = bytes + n;
  unsigned status, fields = 0;
  bool has_length = false;
  uint64_t length = 0;
  if (r->began || r->by_pieces || r->answers_head) return false;
  const char *p = read_status(bytes, end, &status), *body = p ? find_body(p, end) : NULL;
  if (!body) return false;
  /* In `head`, a line without a space after its colon is one byte longer; a line has at least four
     bytes. */
  size_t head_len = (size_t)(body - p);
  if (!buffer_reserve(&r->head, head_len + head_len / 4)) return false;
  char *out = r->head.data;
  while (p < body - 2) {
    if (++fields > CLIENT_MAX_FIELDS) return false;
    if (!(p = read_field(p, &out, &has_length, &length))) return false;
  }
  if (!has_length || length != (uint64_t)(end - body) || length > r->max_body) return false;
  if (!buffer_add(&r->body, body, (size_t)length)) return false;
  r->head.len = (size_t)(out - r->head.data);
  r->status = status;
  r->began = r->head_read = r->complete = r->keep_alive = true;
  return true;
}
