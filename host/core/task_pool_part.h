/* The runtime's part for the pool of tasks (task_pool.h). */
#ifndef ML_TASK_POOL_PART_H
#define ML_TASK_POOL_PART_H

#include "core/names.h"

#include <stddef.h>
#include <stdint.h>

/* Records of tasks that are not in use, and their threads. */
typedef struct TaskPool {
  Task *free;         /* ended tasks with their threads, for reuse */
  size_t free_count;  /* how many */
  Task *free_records; /* records without a thread */
  struct TaskSlab *slabs, *empty_slabs;
  uint32_t first_generation; /* slot of the next record used for the first time */
  uint32_t threads;          /* how many there are */
  size_t peak_live;          /* recent peak of live tasks */
  size_t peak_now;           /* the same since the last check of the pool */
  size_t released;           /* threads whose memory has not been returned */
} TaskPool;

#endif
