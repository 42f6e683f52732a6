#include "http/multipart.h"

#include <stdarg.h>
#include <stdio.h>

void multipart_open(Multipart *m, const char *boundary, size_t n, const MultipartLimits *limits) {
  m->limits = *limits;
  memcpy(m->delimiter, "\r\n--", 4);
  memcpy(m->delimiter + 4, boundary, n);
  m->delimiter_len = n + 4;
  m->matched = m->borrowed = 2; /* the body begins at the start of a line */
}

void multipart_close(Multipart *m) { buffer_free(&m->head); }

bool multipart_fail(Multipart *m, int status, const char *format, ...) {
  va_list args;
  va_start(args, format);
  vsnprintf(m->error, sizeof m->error, format, args);
  va_end(args);
  m->error_status = status;
  m->state = MULTIPART_FAILED;
  return false;
}

static void take(Multipart *m, size_t n) {
  m->in += n;
  m->in_len -= n;
}

static void set_data(Multipart *m, const char *bytes, size_t n) {
  m->data = bytes;
  m->data_len = n;
}

static bool found(Multipart *m) {
  m->matched = m->borrowed = 0;
  return true;
}

/* Continues a delimiter that began in an earlier piece. If it turns out not to be one, its bytes
   are data, and equal to those of the delimiter. */
static bool scan_begun(Multipart *m) {
  size_t i = 0;
  while (i < m->in_len && m->matched < m->delimiter_len && m->in[i] == m->delimiter[m->matched]) {
    i++;
    m->matched++;
  }
  take(m, i);
  if (m->matched == m->delimiter_len) return found(m);
  if (m->in_len) {
    set_data(m, m->delimiter + m->borrowed, m->matched - m->borrowed);
    m->matched = m->borrowed = 0;
  }
  return false;
}

/* Looks for the delimiter: true if it was found and taken. `data` gets the bytes before it, or
   those that certainly do not belong to it; it may be empty. CR occurs only as the delimiter's
   first byte, so the search never goes back after a mismatch. */
static bool scan(Multipart *m) {
  set_data(m, NULL, 0);
  if (m->matched) return scan_begun(m);
  const char *begin = m->in, *end = begin + m->in_len, *cr = begin;
  while (cr < end && (cr = memchr(cr, '\r', (size_t)(end - cr)))) {
    size_t matched = 1;
    while (cr + matched < end && matched < m->delimiter_len && cr[matched] == m->delimiter[matched])
      matched++;
    if (matched == m->delimiter_len || cr + matched == end) {
      m->matched = matched;
      set_data(m, begin, (size_t)(cr - begin));
      take(m, (size_t)(cr - begin) + matched);
      return matched == m->delimiter_len && found(m);
    }
    cr += matched;
  }
  set_data(m, begin, m->in_len);
  take(m, m->in_len);
  return false;
}

static void read_preamble(Multipart *m) {
  if (scan(m)) m->state = MULTIPART_IN_LINE;
}

static MultipartEvent read_data(Multipart *m) {
  size_t limit = m->part.filename ? m->limits.max_file : m->limits.max_field;
  if (scan(m)) m->state = MULTIPART_IN_LINE;
  if (!m->data_len) return MULTIPART_MORE;
  if (m->data_len > limit - m->part_size) {
    multipart_fail(m, 413, "part %zu has more than %zu bytes", m->n_parts, limit);
    return MULTIPART_BAD;
  }
  m->part_size += m->data_len;
  return MULTIPART_DATA;
}

/* At the end of a boundary line. */
static MultipartEvent end_line(Multipart *m, bool last) {
  bool was_in_part = m->n_parts > 0;
  m->state = last ? MULTIPART_AT_END : MULTIPART_IN_HEAD;
  m->head.len = m->line = m->n_lines = m->part_size = 0;
  if (!last && m->n_parts++ == m->limits.max_parts)
    multipart_fail(m, 413, "the form has more than %zu parts", m->limits.max_parts);
  return was_in_part ? MULTIPART_PART_END : MULTIPART_MORE;
}

/* After the boundary: "--" ends the body, spaces and CRLF begin a part. */
static MultipartEvent read_line(Multipart *m) {
  char c = *m->in;
  take(m, 1);
  if (m->state == MULTIPART_IN_LF) {
    if (c == '\n') return end_line(m, false);
  } else if (m->state == MULTIPART_IN_CLOSE) {
    if (c == '-') return end_line(m, true);
  } else if (c == '-' && m->state == MULTIPART_IN_LINE) {
    m->state = MULTIPART_IN_CLOSE;
    return MULTIPART_MORE;
  } else if (c == '\r') {
    m->state = MULTIPART_IN_LF;
    return MULTIPART_MORE;
  } else if (c == ' ' || c == '\t') {
    m->state = MULTIPART_IN_PADDING;
    return MULTIPART_MORE;
  }
  multipart_fail(m, 400, "the boundary before part %zu is followed by something else",
                 m->n_parts + 1);
  return MULTIPART_BAD;
}

/* Takes one header line, or as much of it as has come. */
static MultipartEvent read_head(Multipart *m) {
  const char *lf = memchr(m->in, '\n', m->in_len);
  size_t n = lf ? (size_t)(lf - m->in) + 1 : m->in_len;
  if (n > m->limits.max_header - m->head.len) {
    multipart_fail(m, 413, "part %zu has more than %zu bytes of headers", m->n_parts,
                   m->limits.max_header);
    return MULTIPART_BAD;
  }
  if (!buffer_add(&m->head, m->in, n)) {
    multipart_fail(m, 0, "not enough memory");
    return MULTIPART_BAD;
  }
  take(m, n);
  if (!lf) return MULTIPART_MORE;
  size_t len = m->head.len - m->line;
  if (len < 2 || m->head.data[m->head.len - 2] != '\r') {
    multipart_fail(m, 400, "a header of part %zu ends with LF alone", m->n_parts);
    return MULTIPART_BAD;
  }
  m->line = m->head.len;
  if (len > 2 && ++m->n_lines <= MULTIPART_MAX_LINES) return MULTIPART_MORE;
  if (len > 2) {
    multipart_fail(m, 413, "part %zu has more than %d header lines", m->n_parts,
                   MULTIPART_MAX_LINES);
    return MULTIPART_BAD;
  }
  if (!multipart_read_head(m)) return MULTIPART_BAD;
  m->state = MULTIPART_IN_DATA;
  m->matched = m->borrowed =
      2; /* the end of the empty line may be the start of the next boundary */
  return MULTIPART_PART;
}

MultipartEvent multipart_next(Multipart *m) {
  MultipartEvent event = MULTIPART_MORE;
  while (event == MULTIPART_MORE) {
    if (m->state == MULTIPART_FAILED) return MULTIPART_BAD;
    if (m->state == MULTIPART_AT_END) {
      m->state = MULTIPART_IN_EPILOGUE;
      return MULTIPART_END;
    }
    if (!m->in_len) return MULTIPART_MORE;
    switch (m->state) {
    case MULTIPART_IN_PREAMBLE:
      read_preamble(m);
      break;
    case MULTIPART_IN_DATA:
      event = read_data(m);
      break;
    case MULTIPART_IN_HEAD:
      event = read_head(m);
      break;
    case MULTIPART_IN_EPILOGUE:
      take(m, m->in_len);
      break;
    default:
      event = read_line(m);
      break;
    }
  }
  return event;
}

MultipartEvent multipart_finish(Multipart *m) {
  switch (m->state) {
  case MULTIPART_IN_EPILOGUE:
    return MULTIPART_END;
  case MULTIPART_FAILED:
    return MULTIPART_BAD;
  case MULTIPART_IN_PREAMBLE:
    multipart_fail(m, 400, "the form has no boundary line");
    return MULTIPART_BAD;
  case MULTIPART_IN_HEAD:
    multipart_fail(m, 400, "the form ends in the headers of part %zu", m->n_parts);
    return MULTIPART_BAD;
  default:
    multipart_fail(m, 400, "the form ends in part %zu, without its last boundary", m->n_parts);
    return MULTIPART_BAD;
  }
}
