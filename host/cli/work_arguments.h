/* The arguments of `work`. */
#ifndef ML_WORK_ARGUMENTS_H
#define ML_WORK_ARGUMENTS_H

#include "cli/option.h"

/* Is `arg` an option of it that takes a value, with or without the value? */
bool work_arguments_has(const char *arg);

/* Reads the `n` arguments into reader->request: target (NULL: none was given), and what the options
   say. NULL, or what is wrong. */
const char *work_arguments_read(OptionReader *reader, char **list, int n);

#endif
