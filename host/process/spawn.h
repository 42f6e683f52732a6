/* Starting a program: posix_spawn with everything a program should not inherit left behind. */
#ifndef ML_SPAWN_H
#define ML_SPAWN_H

#include <stdbool.h>
#include <sys/types.h>

typedef struct SpawnSpec {
  char *const *argv; /* argv[0] is looked for in `path` unless it has a slash; ends with NULL */
  char *const *env;  /* "NAME=value", ends with NULL */
  const char *path;  /* folders, with colons between them */
  const char *cwd;   /* or NULL: ours */
  int fds[3];        /* what becomes the program's 0, 1 and 2; the caller keeps and closes them */
  bool group;        /* make it the leader of a process group of its own */
} SpawnSpec;

/* What could not be done. */
typedef enum SpawnStep {
  SPAWN_DONE,
  SPAWN_CWD,         /* enter the folder */
  SPAWN_FIND,        /* find the program in `path` */
  SPAWN_INTERPRETER, /* find what the first line of the script names */
  SPAWN_START,       /* anything else */
} SpawnStep;

/* Starts a program. It gets the three descriptors and no others, every signal with its default
   effect and none blocked. Blocks until the program has been loaded (the caller's memory is not
   copied). Sets *pid, a child that the caller reaps; or returns which step failed, and its errno in
   *error. Any thread may call this. If SIGCHLD is ignored in this process, it no longer is: the
   system would reap the child, and nobody would learn how it ended. */
SpawnStep spawn_program(const SpawnSpec *spec, pid_t *pid, int *error);

#endif
