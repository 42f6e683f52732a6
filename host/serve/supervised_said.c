#include "serve/supervised_said.h"

#include "serve/supervised.h"

#include <stdlib.h>
#include <string.h>

/* No valid line comes near this length. */
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
#define LONGEST_LINE 256
#else
#define LONGEST_LINE ((size_t)64 * 1024)
#endif

bool supervised_said_add(Said *said, const char *bytes, size_t n) {
  return buffer_add(&said->bytes, bytes, n);
}

/* "SIGNATURE PATH" */
static bool read_file(const char *text, SaidLine *line) {
  size_t n = strcspn(text, " ");
  if (!n || text[n] != ' ' || text[n + 1] != '/' || n >= sizeof line->signature.text) return false;
  memcpy(line->signature.text, text, n);
  line->signature.text[n] = '\0';
  line->path = text + n + 1;
  line->kind = SAID_FILE;
  return true;
}

/* "DRAIN" */
static bool read_ready(const char *text, SaidLine *line) {
  char *end;
  line->drain = strtod(text, &end);
  line->kind = SAID_READY;
  return end != text && !*end && line->drain >= 0;
}

/* `text` is a line of `n` bytes, with a NUL at its end. */
static bool read_line(const char *text, size_t n, SaidLine *line) {
  static const char file[] = SUPERVISED_FILE " ", ready[] = SUPERVISED_READY " ";
  if (n > LONGEST_LINE || strlen(text) != n) return false;
  if (strncmp(text, file, sizeof file - 1) == 0) return read_file(text + sizeof file - 1, line);
  if (strncmp(text, ready, sizeof ready - 1) == 0) return read_ready(text + sizeof ready - 1, line);
  return false;
}

bool supervised_said_next(Said *said, SaidLine *line) {
  Buffer *bytes = &said->bytes;
  for (char *end; bytes->len > said->at;) {
    char *text = bytes->data + said->at;
    size_t left = bytes->len - said->at;
    if (!(end = memchr(text, '\n', left))) {
      said->skipping = said->skipping || left > LONGEST_LINE;
      if (said->skipping) left = 0;
      memmove(bytes->data, text, left);
      bytes->len = left;
      said->at = 0;
      return false;
    }
    bool is_rest = said->skipping;
    *end = '\0';
    said->at += (size_t)(end - text) + 1;
    said->skipping = false;
    if (!is_rest && read_line(text, (size_t)(end - text), line)) return true;
  }
  bytes->len = said->at = 0;
  return false;
}

void supervised_said_free(Said *said) { buffer_free(&said->bytes); }
