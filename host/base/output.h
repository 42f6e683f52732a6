/* Writing lines to a descriptor that was given to this process, such as its standard output,
   without ever waiting for the reader. It may be shared with other processes, so its own
   mode stays as it is. */
#ifndef ML_OUTPUT_H
#define ML_OUTPUT_H

#include "base/buffer.h"

typedef enum OutputKind {
  OUTPUT_FILE,   /* always takes all */
  OUTPUT_PIPE,   /* or a terminal, reopened so as not to block */
  OUTPUT_SOCKET, /* may be written to without blocking */
  OUTPUT_OTHER   /* is polled before each write */
} OutputKind;

typedef struct Output {
  int fd; /* the descriptor to write to */
  OutputKind kind;
} Output;

/* Prepares writing to `fd`, which stays the caller's and open. */
void output_open(Output *output, int fd);

/* Releases it. */
void output_close(Output *output);

/* Writes as much from the beginning of `lines` as there is room for, and removes it. Lines of up to
   4 kB are not mixed with those of other processes that share a pipe. Returns 0, or an errno, with
   `lines` unchanged, if nothing can be written now or later. */
int output_flush(Output *output, Buffer *lines);

/* Can some bytes (for a pipe: 4 kB) be written to `fd` at once? */
bool output_has_room(int fd);

#endif
