/* Fuzzes the lines that a worker process sends to its supervisor: what is read of them does not
   depend on how they are cut into pieces, and is what the supervisor may rely on. The first byte
   says how long the pieces are. */
#include "serve/supervised_said.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void die(const char *what) {
  fprintf(stderr, "supervised_fuzz: %s\n", what);
  abort();
}

static void check(const SaidLine *line) {
  if (line->kind == SAID_READY) {
    if (!(line->drain >= 0)) die("a limit that is no time");
    return;
  }
  const char *text = line->signature.text;
  if (!*text || strchr(text, ' ') || !memchr(text, 0, sizeof line->signature.text))
    die("a signature that is no word");
  if (line->path[0] != '/' || strchr(line->path, '\n')) die("a path that is none");
}

/* Reads `data` in pieces of `piece` bytes, and writes what there was in it to `out`. */
static void read_in_pieces(const uint8_t *data, size_t size, size_t piece, Buffer *out) {
  Said said = {0};
  for (size_t at = 0; at < size; at += piece) {
    size_t n = size - at < piece ? size - at : piece;
    if (!supervised_said_add(&said, (const char *)data + at, n)) die("no memory");
    for (SaidLine line; supervised_said_next(&said, &line);) {
      check(&line);
      bool ok = line.kind == SAID_READY
                    ? buffer_printf(out, "ready %.17g\n", line.drain)
                    : buffer_printf(out, "file %s %s\n", line.signature.text, line.path);
      if (!ok) die("no memory");
    }
  }
  supervised_said_free(&said);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 2) return 0;
  Buffer whole = {0}, pieces = {0}, again = {0};
  read_in_pieces(data + 1, size - 1, size, &whole);
  read_in_pieces(data + 1, size - 1, 1u + data[0] % 64, &pieces);
  if (whole.len != pieces.len || (whole.len && memcmp(whole.data, pieces.data, whole.len) != 0))
    die("other lines when they come in pieces");
  /* Written as a worker does, it says the same. */
  read_in_pieces((const uint8_t *)whole.data, whole.len, size, &again);
  if (whole.len != again.len || (whole.len && memcmp(whole.data, again.data, whole.len) != 0))
    die("other lines when they are said again");
  buffer_free(&whole);
  buffer_free(&pieces);
  buffer_free(&again);
  return 0;
}
