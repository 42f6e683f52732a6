/* What has held up the loop: the latest reports of the watchdog, kept for those who show them. */
#ifndef ML_HELD_UP_H
#define ML_HELD_UP_H

#include "core/names.h"

#include <stdbool.h>
#include <stdint.h>

enum { HELD_UPS = 20 };

typedef struct HeldUp {
  uint64_t number; /* from 1 */
  int64_t at;      /* nanoseconds since 1970 when it was first reported */
  uint64_t ns;     /* how long, so far or in all */
  bool is_over;
  char label[200]; /* of the task: "GET /users (request 7)" */
  char place[120]; /* the line of a script, "app.lua:42", or "" */
  char traceback[1500];
} HeldUp;

/* Filled in in a signal handler, by the thread that reads it. */
typedef struct HeldUps {
  uint64_t count; /* the newest has this number, and is list[(count - 1) % HELD_UPS] */
  HeldUp list[HELD_UPS];
} HeldUps;

/* From now on they are kept, for as long as the caller keeps `all`, which is all zero; NULL: no
   more. */
void held_up_keep(Runtime *rt, HeldUps *all);

/* The running task has held up the loop for `ns`; `is_more`: that was noted before. Safe in a
   signal handler of the thread that runs it. */
void held_up_note(Runtime *rt, const char *label, uint64_t ns, bool is_more);

/* It has let go. */
void held_up_over(Runtime *rt, uint64_t ns);

#endif
