/* The headers of a part of multipart/form-data: RFC 7578 section 4.2 and what browsers send. */
#include "base/utf8.h"
#include "http/header_params.h"
#include "http/http_header.h"
#include "http/multipart.h"

/* Is the character allowed in a boundary (RFC 2046 section 5.1.1, "bchars")? */
static bool is_boundary_char(char c) {
  bool letter = (c | 0x20) >= 'a' && (c | 0x20) <= 'z', digit = c >= '0' && c <= '9';
  return letter || digit || (c && strchr("'()+_,-./:=? ", c));
}

int multipart_boundary(const char *type, size_t n, char boundary[MULTIPART_MAX_BOUNDARY]) {
  const char *word;
  size_t word_len, len = 0;
  HeaderParam param;
  int found;
  header_params_begin(&type, &n, &word, &word_len);
  if (!http_header_is(word, word_len, "multipart/form-data")) return 0;
  while ((found = header_params_next(&type, &n, &param)) > 0) {
    if (!http_header_is(param.name, param.name_len, "boundary")) continue;
    if (len || param.value_len > MULTIPART_MAX_BOUNDARY) return -1; /* twice, or too long */
    len = header_params_unquote(&param, boundary);
    if (!len || boundary[len - 1] == ' ') return -1;
    for (size_t i = 0; i < len; i++)
      if (!is_boundary_char(boundary[i])) return -1;
  }
  return found < 0 || !len ? -1 : (int)len;
}

/* Is every line "Name: value" in UTF-8? All lines end with CRLF. */
static bool check_lines(Multipart *m) {
  const char *p = m->head.data, *end = p + m->head.len - 2; /* without the empty line */
  if (!utf8_is_well_formed(p, m->head.len))
    return multipart_fail(m, 400, "the headers of part %zu are not UTF-8", m->n_parts);
  while (p < end) {
    const char *lf = memchr(p, '\n', (size_t)(end - p));
    const char *colon = memchr(p, ':', (size_t)(lf - p));
    if (!colon || !http_header_name_ok(p, (size_t)(colon - p)))
      return multipart_fail(m, 400, "part %zu has a line that is not a header", m->n_parts);
    if (!http_header_value_ok(colon + 1, (size_t)(lf - colon) - 2))
      return multipart_fail(m, 400, "a header of part %zu has a control character", m->n_parts);
    p = lf + 1;
  }
  return true;
}

/* Copies a name to the end of the head, without its quotes. Browsers write '"', CR and LF as %22,
   %0D and %0A, and encode nothing else (the URL standard's multipart/form-data encoding). */
static const char *copy_name(Multipart *m, const HeaderParam *param, size_t *len) {
  char *out = m->head.data + m->head.len, *o = out;
  size_t n = header_params_unquote(param, out);
  for (size_t i = 0; i < n; i++, o++) {
    char c = out[i];
    if (c == '%' && i + 2 < n) {
      char high = out[i + 1], low = out[i + 2];
      char escaped = high == '2' && low == '2'   ? '"'
                     : high == '0' && low == 'D' ? '\r'
                     : high == '0' && low == 'A' ? '\n'
                                                 : 0;
      if (escaped) {
        c = escaped;
        i += 2;
      }
    }
    *o = c;
  }
  *len = (size_t)(o - out);
  m->head.len += *len;
  return out;
}

/* form-data; name="a"; filename="b.txt". RFC 7578 section 4.2 forbids filename*, which is not
   counted as a name. */
static bool read_disposition(Multipart *m, const char *text, size_t n) {
  const char *word;
  size_t word_len;
  HeaderParam param;
  int found;
  header_params_begin(&text, &n, &word, &word_len);
  if (!http_header_is(word, word_len, "form-data"))
    return multipart_fail(m, 400, "the Content-Disposition of part %zu is not form-data",
                          m->n_parts);
  while ((found = header_params_next(&text, &n, &param)) > 0) {
    bool is_name = http_header_is(param.name, param.name_len, "name");
    if (!is_name && !http_header_is(param.name, param.name_len, "filename")) continue;
    if (is_name ? m->part.name : m->part.filename)
      return multipart_fail(m, 400, "part %zu has two %s", m->n_parts,
                            is_name ? "names" : "file names");
    if (is_name)
      m->part.name = copy_name(m, &param, &m->part.name_len);
    else
      m->part.filename = copy_name(m, &param, &m->part.filename_len);
  }
  if (found < 0)
    return multipart_fail(m, 400, "the Content-Disposition of part %zu is malformed", m->n_parts);
  if (!m->part.name) return multipart_fail(m, 400, "part %zu has no name", m->n_parts);
  return true;
}

/* RFC 7578 section 4.7: content is not encoded. */
static bool is_plain_coding(const char *text, size_t n) {
  return http_header_is(text, n, "7bit") || http_header_is(text, n, "8bit") ||
         http_header_is(text, n, "binary");
}

bool multipart_read_head(Multipart *m) {
  m->part = (MultipartPart){0};
  if (!check_lines(m)) return false;
  /* Both names occur in the lines, so they fit, and nothing moves while there are pointers. */
  if (!buffer_reserve(&m->head, m->head.len)) return multipart_fail(m, 0, "not enough memory");
  m->part.headers = m->head.data;
  m->part.headers_len = m->head.len - 2;
  const char *lines = m->part.headers;
  size_t n = m->part.headers_len;
  HttpHeader h;
  bool disposed = false;
  while (http_header_next(&lines, &n, &h)) {
    if (http_header_is(h.name, h.name_len, "content-disposition")) {
      if (disposed)
        return multipart_fail(m, 400, "part %zu has two Content-Dispositions", m->n_parts);
      disposed = true;
      if (!read_disposition(m, h.value, h.value_len)) return false;
    } else if (http_header_is(h.name, h.name_len, "content-type")) {
      if (m->part.type) return multipart_fail(m, 400, "part %zu has two Content-Types", m->n_parts);
      m->part.type = h.value;
      m->part.type_len = h.value_len;
    } else if (http_header_is(h.name, h.name_len, "content-transfer-encoding") &&
               !is_plain_coding(h.value, h.value_len)) {
      return multipart_fail(m, 400, "part %zu has a Content-Transfer-Encoding", m->n_parts);
    }
  }
  if (!disposed) return multipart_fail(m, 400, "part %zu has no Content-Disposition", m->n_parts);
  return true;
}
