/* The runtime's part for tasks (task.h): the live ones, and what is stored for them. */
#ifndef ML_TASK_PART_H
#define ML_TASK_PART_H

#include "core/names.h"

#include <stddef.h>
#include <stdint.h>

enum { SOURCE_NAME_BUCKETS = 256 };

/* The file names of spawn sites (task_site.c), by their hashes. */
typedef struct SourceNames {
  struct SourceName *buckets[SOURCE_NAME_BUCKETS], *last; /* last: used */
  unsigned count;
} SourceNames;

typedef struct Tasks {
  size_t live;       /* started and not ended */
  size_t background; /* of these, those of task_to_background */
  Task *roots;       /* live tasks without a parent */
  uint64_t last_id;
  int handle_meta_ref;     /* the registry's reference to the metatable of handles */
  const void *handle_meta; /* the same as a pointer, to tell handles fast */
  int handles_ref;         /* registry table: handles by Task.slot, if Task.handle_kept */
  int vars_ref;            /* registry table: task-local values by Task.slot (task_vars.h) */
  SourceNames source_names;
} Tasks;

#endif
