/* Feeds bytes to the multipart parser in one piece, in pieces, and byte by byte: all must see the
   same parts, and the same error. The first byte chooses the size of the pieces and the boundary.
 */
#include "fuzz.h"
#include "http/multipart.h"

#include <stdint.h>
#include <stdlib.h>

static void note(Buffer *log, const void *bytes, size_t n) {
  if (!buffer_add(log, bytes, n)) abort();
}

static void note_part(Buffer *log, const MultipartPart *part) {
  note(log, "\npart ", 6);
  note(log, part->name, part->name_len);
  if (part->filename) note(log, "\nfile ", 6);
  note(log, part->filename, part->filename_len);
  if (part->type) note(log, "\ntype ", 6);
  note(log, part->type, part->type_len);
  note(log, "\n", 1);
  note(log, part->headers, part->headers_len);
}

/* What the body has, in `log`: the content of a part once it is whole. */
static void run(const uint8_t *data, size_t size, size_t piece, const char *boundary, Buffer *log) {
  static const MultipartLimits limits = {
      .max_parts = 6, .max_header = 200, .max_field = 60, .max_file = 120};
  Multipart m = {0};
  Buffer content = {0};
  MultipartEvent event = MULTIPART_MORE;
  bool in_part = false, ended = false;
  multipart_open(&m, boundary, strlen(boundary), &limits);
  for (size_t at = 0; at < size && event != MULTIPART_BAD; at += piece) {
    size_t n = size - at < piece ? size - at : piece;
    char *copy = exact_copy(data + at, n);
    multipart_feed(&m, copy, n);
    while ((event = multipart_next(&m)) != MULTIPART_MORE && event != MULTIPART_BAD) {
      if (ended || in_part != (event == MULTIPART_DATA || event == MULTIPART_PART_END)) abort();
      if (event == MULTIPART_PART) {
        in_part = true;
        content.len = 0;
        note_part(log, &m.part);
      } else if (event == MULTIPART_DATA) {
        if (!m.data_len) abort();
        note(&content, m.data, m.data_len);
      } else if (event == MULTIPART_PART_END) {
        in_part = false;
        note(log, "\n", 1);
        note(log, content.data, content.len);
      } else {
        ended = true;
      }
    }
    free(copy);
  }
  if (event != MULTIPART_BAD) event = multipart_finish(&m);
  if (ended ? event != MULTIPART_END : event != MULTIPART_BAD) abort();
  if (event == MULTIPART_BAD) {
    if (!m.error[0] || (m.error_status != 400 && m.error_status != 413)) abort();
    note(log, "\nbad ", 5);
    note(log, m.error, strlen(m.error));
  }
  buffer_free(&content);
  multipart_close(&m);
}

static void same(const Buffer *a, const Buffer *b) {
  if (a->len != b->len || (a->len && memcmp(a->data, b->data, a->len))) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const char *const boundaries[] = {"b", "--", "boundary-of-a-browser"};
  if (!size) return 0;
  char boundary[MULTIPART_MAX_BOUNDARY];
  (void)multipart_boundary((const char *)data + 1, size - 1, boundary);
  const char *chosen = boundaries[(data[0] >> 5) % 3];
  Buffer whole = {0}, pieces = {0}, bytes = {0};
  run(data + 1, size - 1, size, chosen, &whole);
  run(data + 1, size - 1, data[0] % 32 + 2, chosen, &pieces);
  run(data + 1, size - 1, 1, chosen, &bytes);
  same(&whole, &pieces);
  same(&whole, &bytes);
  buffer_free(&whole);
  buffer_free(&pieces);
  buffer_free(&bytes);
  return 0;
}
