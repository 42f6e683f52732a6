#include "core/task_label.h"

#include <stdlib.h>
#include <string.h>

TaskLabel *task_label_new(const char *route, const char *id, size_t id_len) {
  size_t n = strlen(route) + 1;
  TaskLabel *label = malloc(sizeof *label + n + id_len + 1);
  if (!label) return NULL;
  char *copy = label->route + n;
  *label = (TaskLabel){1, id_len, copy};
  memcpy(label->route, route, n);
  memcpy(copy, id, id_len);
  copy[id_len] = 0;
  return label;
}
