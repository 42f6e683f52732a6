/* Sockets that the loop watches through one common handle (client_poll.h), for code that inspects
   what is open. */
#ifndef ML_SOCKET_SET_H
#define ML_SOCKET_SET_H

#include "core/names.h"

#include <stdbool.h>
#include <uv.h>

typedef struct SocketSet {
  struct SocketSet *next; /* the runtime's */
  const uv_handle_t *handle;
  /* Calls visit(data, fd, waits) for each; `waits`: it keeps the loop alive. */
  void (*each)(struct SocketSet *set, void (*visit)(void *data, int fd, bool waits), void *data);
} SocketSet;

/* Adds a set, whose memory the caller owns; removes it. */
void socket_set_add(Runtime *rt, SocketSet *set);
void socket_set_remove(Runtime *rt, SocketSet *set);

/* Does the handle stand for a set? */
bool socket_set_has_handle(const Runtime *rt, const uv_handle_t *handle);

/* Calls visit(data, fd, waits) for each socket of all sets. */
void socket_set_each(Runtime *rt, void (*visit)(void *data, int fd, bool waits), void *data);

#endif
