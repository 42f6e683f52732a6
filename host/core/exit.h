/* The runtime's part that records a request to end. */
#ifndef ML_EXIT_H
#define ML_EXIT_H

#include <stdbool.h>

typedef struct Exit {
  bool under_way; /* os.exit or a signal: the tasks are being cancelled */
  int code;       /* the status given to os.exit */
} Exit;

/* Requests the end: the first code counts. */
static inline void exit_begin(Exit *exit, int code) {
  if (!exit->under_way) exit->code = code;
  exit->under_way = true;
}

/* The run has ended; the next run starts fresh. */
static inline void exit_over(Exit *exit) { exit->under_way = false; }

#endif
