/* Fuzzes the formats of the access log: whatever a client sends, an entry is one line of printable
   text, the quotes of the common format stay pairs, and the JSON one decodes. */
#include "http/server/access_log.h"
#include "json/json.h"
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void die(const char *what) {
  fprintf(stderr, "access_log_fuzz: %s\n", what);
  abort();
}

static void check_line(const Buffer *line) {
  if (!line->len || line->data[line->len - 1] != '\n') die("no line end");
  for (size_t i = 0; i + 1 < line->len; i++)
    if ((unsigned char)line->data[i] < ' ' || line->data[i] == 0x7f) die("a control character");
}

static void check_quotes(const Buffer *line) {
  unsigned quotes = 0;
  for (size_t i = 0; i < line->len; i++) {
    quotes += line->data[i] == '"';
    if ((unsigned char)line->data[i] >= 0x80) die("a byte that is not ASCII");
  }
  if (quotes != 8) die("more quotes than those of its four texts");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 4) return 0;
  AccessNote note = {.status = data[0] * 2, .bytes = data[1], .parsed = data[2] & 1};
  size_t n = size - 4;
  note.line = n * (data[2] >> 1) / 255;
  note.referer = (n - note.line) * data[3] / 255;
  note.id_len = n < 8 ? n : 8;
  if (n) memcpy(note.id, data + 4, note.id_len);
  if (!buffer_add(&note.text, data + 4, n)) return 0;
  AccessEntry entry = {
      .client = "127.0.0.1", .seconds = size, .worker = data[1] & 1, .note = &note};
  Buffer line = {0};
  if (!access_log_common(&line, &entry)) die("the common format failed");
  check_line(&line);
  check_quotes(&line);
  line.len = 0;
  if (!access_log_json(&line, &entry)) die("the JSON format failed");
  check_line(&line);
  lua_State *L = luaL_newstate();
  JsonError error;
  if (!json_decode(L, line.data, line.len, &error)) die(error.message);
  lua_close(L);
  buffer_free(&line);
  buffer_free(&note.text);
  return 0;
}
