/* What scripts listen for: signals that come to a task of theirs. */
#ifndef ML_SIGNAL_LISTENER_H
#define ML_SIGNAL_LISTENER_H

#include "core/wait.h"

typedef struct SignalListener SignalListener;

/* Begins to listen for the `n` signals, each of them once in the list. What comes is kept, each
   signal once, until it is taken. Returns NULL and sets `*error` (libuv's) if that is not
   possible. The caller closes it, on the same thread. */
SignalListener *signal_listener_open(Runtime *rt, const int *signums, size_t n, int *error);

/* Ends it: the signals have their usual effect again. SIGINT, SIGTERM or SIGHUP that came and that
   nobody has taken has it now. */
void signal_listener_close(SignalListener *listener);

/* The signal that came first and has not been taken, or 0. */
int signal_listener_take(SignalListener *listener);

/* Which task waits; the loop stays alive meanwhile. A waker without a task: none. */
void signal_listener_set_waiter(SignalListener *listener, Waker waiter);
bool signal_listener_is_waited_for(const SignalListener *listener);

#endif
