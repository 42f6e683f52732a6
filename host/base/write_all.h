/* Writing to a descriptor that may not block, as is often true of a terminal that other programs
   share. */
#ifndef ML_WRITE_ALL_H
#define ML_WRITE_ALL_H

#include <stdbool.h>
#include <stddef.h>

/* Writes `n` bytes, and waits if it has to. False if they cannot be written (errno). */
bool write_all(int fd, const char *bytes, size_t n);

#endif
