/* Sockets that systemd has opened for this process (sd_listen_fds(3)): LISTEN_PID says whose they
   are, LISTEN_FDS how many, from descriptor 3 on, and LISTEN_FDNAMES their names. */
#ifndef ML_ACTIVATION_H
#define ML_ACTIVATION_H

#include <stddef.h>

enum { ACTIVATION_FIRST = 3 };

typedef struct Activation {
  unsigned n;  /* how many; 0: none */
  char *names; /* "http:https", or NULL; the caller frees it */
} Activation;

/* Reads the variables and takes them out of the environment, so that no program which is started
   believes that they are meant for it. */
void activation_take(Activation *activation);

/* The name of a socket, of *n bytes. Those without one are called "unknown", as in systemd. */
const char *activation_name(const Activation *activation, unsigned index, size_t *n);

#endif
