/* Commands in the form that Redis servers read: arrays of strings. */
#ifndef ML_REDIS_COMMAND_H
#define ML_REDIS_COMMAND_H

#include "base/buffer.h"
#include <stdint.h>

/* Begins a command of `n` words, including its name. False when out of memory. */
bool redis_command_begin(Buffer *b, size_t n);

/* Adds one word. */
bool redis_command_add(Buffer *b, const char *bytes, size_t n);
bool redis_command_add_integer(Buffer *b, int64_t value);

/* Written so that it reads back as the same double: "0.1", "inf". */
bool redis_command_add_double(Buffer *b, double value);

#endif
