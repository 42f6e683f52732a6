/* The terminal that a process was started from. */
#ifndef ML_CONTROLLING_TERMINAL_H
#define ML_CONTROLLING_TERMINAL_H

#include <stdbool.h>

/* Has this process a terminal, which has not been closed? */
bool controlling_terminal_exists(void);

#endif
