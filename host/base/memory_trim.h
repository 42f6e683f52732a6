/* Returns memory of a Memory that is free to the system, in steps. */
#ifndef ML_MEMORY_TRIM_H
#define ML_MEMORY_TRIM_H

#include "base/memory.h"

#include <stdbool.h>
#include <stddef.h>

/* Does a step: a few hundred microseconds. Blocks may come and go before the next one. True if it
   was the last. All steps visit every free block twice, so it is for when much has been freed. */
bool memory_trim(Memory *memory);

/* For memory.c, between two steps: a free block that is in no list for that time, or NULL. */
void *memory_trim_take(Memory *memory, size_t grains);

#endif
