/* Reads a worker's messages to its supervisor (supervised.h): lines, which come in pieces. A worker
   runs the user's code, so anything may come. */
#ifndef ML_SUPERVISED_SAID_H
#define ML_SUPERVISED_SAID_H

#include "base/buffer.h"
#include "base/file_watch.h"

/* All zero is the beginning. */
typedef struct Said {
  Buffer bytes; /* received bytes, from the line at `at` on */
  size_t at;
  bool skipping; /* skipping the rest of a line that is too long */
} Said;

typedef enum SaidKind { SAID_FILE, SAID_READY } SaidKind;

/* A line. */
typedef struct SaidLine {
  SaidKind kind;
  const char *path;        /* SAID_FILE: absolute; in the bytes, until the next call */
  FileSignature signature; /* of it */
  double drain;            /* SAID_READY: seconds, not negative; may be infinite */
} SaidLine;

/* Adds `n` received bytes. False if memory is out, and they are lost. */
bool supervised_said_add(Said *said, const char *bytes, size_t n);

/* Takes the next complete and valid line; others are skipped. False if there is none yet. */
bool supervised_said_next(Said *said, SaidLine *line);

/* Frees what is kept. */
void supervised_said_free(Said *said);

#endif
