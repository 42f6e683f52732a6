/* The answer of a supervisor to `moonloop ps`: its workers, which are then asked as well. */
#ifndef ML_SUPERVISOR_PS_H
#define ML_SUPERVISOR_PS_H

#include <uv.h>

typedef struct SupervisorPs {
  struct Supervisor *supervisor;
  uv_poll_t listener;
  uv_timer_t pause; /* no descriptors are left: then it looks again */
  int fd;           /* -1 if the name is taken: nobody can ask */
} SupervisorPs;

/* Begins to answer. */
void supervisor_ps_open(SupervisorPs *ps, struct Supervisor *supervisor);

/* Stops answering, and closes the socket. */
void supervisor_ps_close(SupervisorPs *ps);

#endif
