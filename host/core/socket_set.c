#include "core/socket_set.h"

#include "core/runtime.h"

void socket_set_add(Runtime *rt, SocketSet *set) {
  set->next = rt->socket_sets;
  rt->socket_sets = set;
}

void socket_set_remove(Runtime *rt, SocketSet *set) {
  SocketSet **link = &rt->socket_sets;
  while (*link != set) link = &(*link)->next;
  *link = set->next;
}

bool socket_set_has_handle(const Runtime *rt, const uv_handle_t *handle) {
  const SocketSet *set = rt->socket_sets;
  while (set && set->handle != handle) set = set->next;
  return set;
}

void socket_set_each(Runtime *rt, void (*visit)(void *data, int fd, bool waits), void *data) {
  for (SocketSet *set = rt->socket_sets; set; set = set->next) set->each(set, visit, data);
}
