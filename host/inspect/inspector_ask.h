/* `moonloop ps PID`: asking a running moonloop for its tasks. */
#ifndef ML_INSPECTOR_ASK_H
#define ML_INSPECTOR_ASK_H

#include <stdbool.h>

/* Prints the answer of the process, with the place of each task if `tracebacks`; for a supervisor,
   also the answers of its workers. While one of the tasks is blocked in a C function, which nothing
   can interrupt, the wait ends after a few seconds with a message that says so. Returns the exit
   status. */
int inspector_ask(long pid, bool tracebacks);

#endif
