/* The live tasks in groups: those with the same name (apart from numbers), that wait for the same
   kind of thing, were spawned at the same line, and whose parents are in one group. A hundred
   thousand tasks become a few groups, in steps that hold up nobody. */
#ifndef ML_CENSUS_H
#define ML_CENSUS_H

#include "base/buffer.h"
#include "core/task_pool.h"

enum {
  CENSUS_GROUPS = 256, /* more are only counted */
  CENSUS_NAME = 96,    /* bytes of a name */
  CENSUS_DEPTH = 12,   /* ancestors that tell groups apart */
};

/* What a task does, as far as groups and pages tell it. */
typedef enum CensusState {
  CENSUS_WAITS,
  CENSUS_READY,   /* to go on */
  CENSUS_PENDING, /* it has not begun */
  CENSUS_RUNS,
  CENSUS_ENDS, /* it waits for the clean-up of its children */
} CensusState;

typedef struct CensusGroup {
  uint64_t key, parent; /* the parent's: 0 if there is none */
  const Task *first;    /* the oldest; its id tells whether it is still that one */
  uint64_t first_id;
  const char *wait; /* a literal, or NULL */
  const struct SourceName *source;
  int line;
  CensusState state;
  bool is_cancelled;
  size_t count;
  uint64_t cpu_ns, oldest_at, youngest_at;
  char name[CENSUS_NAME]; /* "": none */
} CensusGroup;

typedef struct Census {
  Runtime *rt;
  TaskWalk walk;
  size_t live;                       /* tasks that were counted */
  size_t rest;                       /* in groups that had no place */
  unsigned n;                        /* groups */
  uint16_t table[CENSUS_GROUPS * 4]; /* 1 + the number of a group, by its key */
  CensusGroup groups[CENSUS_GROUPS];
} Census;

/* Begins one. */
void census_begin(Census *census, Runtime *rt);

/* Counts up to `tasks` tasks. True: that was the end. */
bool census_step(Census *census, unsigned tasks);

/* Appends the members of a JSON object that say what was counted: the largest groups, as many as
   have room in about `room` bytes, and how many are left out. */
void census_write(Census *census, size_t room, Buffer *out);

/* The state of a task. */
CensusState census_state(const Task *t);
const char *census_state_name(CensusState state);

/* The key of the parent that was asked for last, which holds until tasks run. */
typedef struct CensusKeys {
  const Task *parent; /* or NULL */
  uint64_t key;
} CensusKeys;

void census_keys_begin(CensusKeys *keys);

/* The key of the group of `t`, which is not the host's: never 0. */
uint64_t census_key(CensusKeys *keys, const Task *t, CensusState state);

#endif
