/* The arguments of `moonloop build`. */
#ifndef ML_BUILD_ARGUMENTS_H
#define ML_BUILD_ARGUMENTS_H

#include "cli/option.h"

/* Is it an option of build that takes a value? */
bool build_arguments_has(const char *arg);

/* Reads the `n` arguments of build into reader->request. Returns NULL or what is wrong. */
const char *build_arguments_read(OptionReader *reader, char **list, int n);

#endif
