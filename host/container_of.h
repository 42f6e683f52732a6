/* The struct that a member is part of: how a callback finds what its timer, hook or handle is in.
 */
#ifndef ML_CONTAINER_OF_H
#define ML_CONTAINER_OF_H

#include <stddef.h>

#define container_of(pointer, type, member)                                                        \
  ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

#endif
