/* Jobs that hash passwords, on threads of their own: at most as many at once as the process has
   cores to itself, since each takes 19 MiB and all of a core. Others wait in line, which is
   bounded. The line belongs to the process: all its runtimes share the cores. */
#ifndef ML_PASSWORD_LINE_H
#define ML_PASSWORD_LINE_H

#include "core/task.h"
#include "password/password_hash.h"

#include <stdatomic.h>

/* For each thread, as many jobs may wait: some three seconds' work. */
enum { PASSWORD_LINE_MOST = 128 };

typedef struct PasswordJob {
  struct PasswordJob *next, **link; /* in line; `link` is NULL when it is not */
  ml_Completion *completion;
  atomic_bool abandoned; /* nobody waits for it now */
  bool is_match;         /* compare with `hash`; otherwise make one */
  bool has_hash;
  bool ok;             /* the hash was made */
  PasswordMatch match; /* the result of a comparison */
  char hash[PASSWORD_HASH_LONGEST + 1];
  size_t size;
  char password[];
} PasswordJob;

/* A job for a copy of the password; NULL if memory has run out. It is freed with
   password_line_drop, which wipes it, on any thread. */
PasswordJob *password_line_job(const char *password, size_t size);
void password_line_drop(void *job);

/* Starts the job, or puts it in line; its completion is signalled when it is done. Returns 0, or a
   libuv error: UV_EBUSY if the line is full, and then `wait` is the number of seconds in which it
   may have emptied. Then the caller keeps the job. */
int password_line_add(PasswordJob *job, unsigned *wait);

/* Nobody waits for the job now. If it is in line, it leaves it. */
void password_line_abandon(PasswordJob *job);

#endif
