/* A program that was started, from its start until it has been reaped. Nothing here enters Lua.
   Functions are for the thread of the runtime. */
#ifndef ML_PROCESS_H
#define ML_PROCESS_H

#include "core/runtime.h"
#include "core/waiters.h"
#include "process/process_pipe.h"
#include "process/spawn.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* What one of the program's standard descriptors is. */
typedef enum ProcessEnd {
  PROCESS_NULL,    /* /dev/null */
  PROCESS_INHERIT, /* ours */
  PROCESS_FILE,    /* a file, written from its start */
  PROCESS_OUT,     /* of 2: the same as 1 */
  PROCESS_TEXT,    /* of 0: a text; of 1 and 2: kept in memory */
  PROCESS_STREAM,  /* a pipe whose other end process_take_end gives away */
} ProcessEnd;

typedef struct ProcessOptions {
  SpawnSpec spec; /* fds is ignored */
  ProcessEnd ends[3];
  const char *files[3]; /* for PROCESS_FILE */
  const char *text;     /* for PROCESS_TEXT of 0; stays the caller's until process_release */
  size_t text_size;
  size_t max_output; /* bytes kept in memory: a program that prints more is ended */
  double timeout;    /* seconds until it is ended; HUGE_VAL: never */
  double kill_after; /* seconds between SIGTERM and SIGKILL */
  bool keep_group;   /* process_end and process_kill reach its group also after its own end */
} ProcessOptions;

/* What could not be done: a SpawnStep, or one of these. */
typedef enum ProcessStep {
  PROCESS_PIPES = SPAWN_START + 1, /* make pipes */
  PROCESS_OPEN,                    /* open the file of one of its outputs */
  PROCESS_WATCH,                   /* watch the program, which was started and killed */
} ProcessStep;

typedef struct ProcessFailure {
  int step;
  int error; /* errno */
  int end;   /* for PROCESS_OPEN: which one */
} ProcessFailure;

/* Why we have ended a program; the first reason counts. */
typedef enum ProcessReason {
  PROCESS_BY_ITSELF,
  PROCESS_TIMEOUT,
  PROCESS_LIMIT, /* it has printed more than max_output */
  PROCESS_ENDED, /* process_end */
} ProcessReason;

typedef struct Process {
  Runtime *rt;
  struct Process *next, **link; /* all of the runtime */
  char name[32];                /* for people */
  pid_t pid;
  int pidfd;
  bool group;
  bool keep_group; /* of its options */
  bool group_left; /* it has ended, and is kept from being reaped, so that its group keeps its
                      number */
  bool exited;
  bool over;     /* exited, its group too if we have ended it, and its output has been read */
  bool lost;     /* other code of this process has reaped it: how it ended is not known */
  bool released; /* by its owner */
  bool asked;    /* SIGTERM was sent by process_end and the like */
  ProcessReason reason;
  int code, signal; /* of its exit; a signal of 0: none */
  size_t kept, max_output;
  double kill_after;
  Waiters line; /* tasks that wait until it is over */
  int own_ends[3];
  ProcessPipe pipes[3];
  /* private */
  ProcessPipeUser user;
  uv_poll_t exit;
  uint64_t kill_at;
  Timer limit, killer, grace;
} Process;

/* Starts a program and watches it. The caller releases it. NULL: *failure says what could not be
   done; nothing is left. Blocks until the program has been loaded. */
Process *process_start(Runtime *rt, const ProcessOptions *options, ProcessFailure *failure);

/* Sends a signal, to its group if it has one. False if it has ended. */
bool process_kill(Process *p, int signal);

/* Asks it to end, and its group if it has one: SIGTERM, and SIGKILL after `kill_after`. Then it is
   over, once more if only its group was left. Harmless if it has ended or was asked before. */
void process_end(Process *p, ProcessReason reason);

/* Gives away our end of a pipe of PROCESS_STREAM: a descriptor that does not block; or -1. */
int process_take_end(Process *p, int which);

/* The owner needs it no longer, and no task waits for it: it is ended if it runs, and freed when it
   is over. */
void process_release(Process *p);

#endif
