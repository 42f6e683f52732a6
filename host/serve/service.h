/* What a service manager such as systemd is told (sd_notify(3)): datagrams to the socket that
   NOTIFY_SOCKET names. */
#ifndef ML_SERVICE_H
#define ML_SERVICE_H

#include <stdbool.h>
#include <uv.h>

typedef struct Service {
  int fd;              /* -1: nobody wants to know */
  uv_timer_t watchdog; /* a sign of life, from the loop */
} Service;

/* The name under which the main runtime's registry keeps it, a light userdata. */
#define SERVICE_KEY "moonloop.service"

/* Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID, and takes them out of the environment, so
   that programs which are started do not speak for this process. The timer does not keep the loop
   alive. */
void service_open(Service *s, uv_loop_t *loop);

/* It serves, again after service_reloading; `status` says what, for people. */
void service_ready(Service *s, const char *status);

/* It is about to take new code or certificates. service_ready has to follow. */
void service_reloading(Service *s);

/* It is about to end. */
void service_stopping(Service *s, const char *status);

/* Closes the timer and the socket. The memory is the caller's, until the loop has run. */
void service_close(Service *s);

#endif
