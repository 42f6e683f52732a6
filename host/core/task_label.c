#include "core/task_label.h"

#include "base/text.h"

#include <stdlib.h>
#include <string.h>

TaskLabel *task_label_new(const char *route, const char *id, size_t id_len) {
  size_t n = strlen(route) + 1;
  TaskLabel *label = malloc(sizeof *label + n + id_len + 1);
  if (!label) return NULL;
  char *copy = label->route + n;
  *label = (TaskLabel){.refs = 1, .id = copy};
  memcpy(label->route, route, n);
  memcpy(copy, id, id_len);
  copy[id_len] = 0;
  return label;
}

TaskLabel *task_label_new_counted(const char *route, const char *beginning) {
  TaskLabel *label = task_label_new(route, beginning, strlen(beginning));
  if (label) label->is_counted = true;
  return label;
}

const char *task_label_id(const TaskLabel *label, uint64_t number, char text[TASK_LABEL_COUNTED]) {
  if (!label->is_counted) return label->id;
  Text out = text_in(text, TASK_LABEL_COUNTED); /* not snprintf: in signal handlers, too */
  text_add(&out, label->id);
  text_add_number(&out, number);
  return text;
}
