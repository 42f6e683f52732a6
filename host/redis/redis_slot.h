/* The slots of a Redis cluster, which its keys are divided into. */
#ifndef ML_REDIS_SLOT_H
#define ML_REDIS_SLOT_H

#include <stddef.h>

enum { REDIS_SLOTS = 16384 };

/* The slot of a key, from 0 to REDIS_SLOTS - 1. Keys with the same text in their first {braces}
   share a slot. */
unsigned redis_slot(const char *key, size_t n);

#endif
