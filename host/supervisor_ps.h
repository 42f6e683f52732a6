/* What `moonloop ps` gets to hear from a supervisor: its workers, whom it then asks, too. */
#ifndef ML_SUPERVISOR_PS_H
#define ML_SUPERVISOR_PS_H

#include <uv.h>

typedef struct SupervisorPs {
  struct Supervisor *supervisor;
  uv_poll_t listener;
  int fd; /* or -1: the name is taken, nobody can ask */
} SupervisorPs;

/* Begins to answer. */
void supervisor_ps_open(SupervisorPs *ps, struct Supervisor *supervisor);

/* Answers nobody any more, and closes the socket. */
void supervisor_ps_close(SupervisorPs *ps);

#endif
