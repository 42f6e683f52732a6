/* What a worker process tells its supervisor (supervised.h), as the supervisor reads it: lines,
   which come in pieces. A worker runs code that is not ours, so anything may come. */
#ifndef ML_SUPERVISED_SAID_H
#define ML_SUPERVISED_SAID_H

#include "buffer.h"
#include "file_watch.h"

/* All zero is the beginning. */
typedef struct Said {
  Buffer bytes; /* that have come, from the line at `at` on */
  size_t at;
  bool skipping; /* the rest of a line that is too long */
} Said;

typedef enum SaidKind { SAID_FILE, SAID_READY } SaidKind;

/* A line. */
typedef struct SaidLine {
  SaidKind kind;
  const char *path;        /* SAID_FILE: absolute; in the bytes, until the next call */
  FileSignature signature; /* of it */
  double drain;            /* SAID_READY: seconds, not negative; perhaps without end */
} SaidLine;

/* Adds `n` bytes that have come. False: memory is out, and they are lost. */
bool supervised_said_add(Said *said, const char *bytes, size_t n);

/* Takes the next line that is whole and one of ours; others are passed over. False: there is none
   yet. */
bool supervised_said_next(Said *said, SaidLine *line);

/* Frees what is kept. */
void supervised_said_free(Said *said);

#endif
