/* Writing to a descriptor that may be one that does not wait, as a terminal that other programs
   share often is. */
#ifndef ML_WRITE_ALL_H
#define ML_WRITE_ALL_H

#include <stdbool.h>
#include <stddef.h>

/* Writes `n` bytes, and waits where it has to. False: nobody takes them (errno). */
bool write_all(int fd, const char *bytes, size_t n);

#endif
