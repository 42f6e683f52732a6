/* Memory that processes share by a descriptor. */
#ifndef ML_SHARED_MEMORY_H
#define ML_SHARED_MEMORY_H

#include <stddef.h>

/* A descriptor of new memory of `size` bytes, all zero, which the caller closes and others map. Its
   size is sealed: a process that has it cannot take pages away from under the others, which would
   end them (SIGBUS). -1: errno says why. `name` is for /proc. */
int shared_memory_new(const char *name, size_t size);

#endif
