/* The struct that contains a member, for callbacks that get a timer, hook or handle. */
#ifndef ML_CONTAINER_OF_H
#define ML_CONTAINER_OF_H

#include <stddef.h>

#define container_of(pointer, type, member)                                                        \
  ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

#endif
