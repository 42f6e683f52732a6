/* The options of `moonloop serve`. */
#ifndef ML_SERVE_ARGUMENTS_H
#define ML_SERVE_ARGUMENTS_H

#include "cli/option.h"

/* Sets the defaults. False if memory is out. */
bool serve_arguments_default(CliRequest *request);

/* Is `arg` an option that takes a value, with or without the value (--port, --port=1)? */
bool serve_arguments_has(const char *arg);

/* Reads the option at list[*i], and its value if that is the next of the `n` arguments. Returns
   NULL or what is wrong. */
const char *serve_arguments_read(OptionReader *reader, char **list, int n, int *i);

/* All options are read: NULL, or what is wrong with them together. */
const char *serve_arguments_check(OptionReader *reader);

#endif
