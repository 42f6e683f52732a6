/* What tasks of a request work for: its route and its id. Tasks inherit it,
   so that the log can say it of every task that a request has started. */
#ifndef ML_TASK_LABEL_H
#define ML_TASK_LABEL_H

#include "core/task.h"

#include <stdlib.h>

typedef struct TaskLabel {
  unsigned refs;
  bool is_counted; /* `id` begins the ids of all requests that have the label */
  const char *id;  /* ends with a NUL */
  char route[];    /* "GET /users/{id}" */
} TaskLabel;

/* A new label with one reference; NULL when memory is out. Texts are copied. */
TaskLabel *task_label_new(const char *route, const char *id, size_t id_len);

/* The same for all requests of the route: their ids are the beginning, of up to 20 bytes, and the
   request's number. */
TaskLabel *task_label_new_counted(const char *route, const char *beginning);

enum { TASK_LABEL_COUNTED = 48 }; /* bytes of an id with a number and its NUL */

/* The id of request `number`, which may be in `text`. Safe in signal handlers. */
const char *task_label_id(const TaskLabel *label, uint64_t number, char text[TASK_LABEL_COUNTED]);

/* Drops a reference, and frees the label with the last one (NULL is ignored). */
static inline void task_label_drop(TaskLabel *label) {
  if (label && --label->refs == 0) free(label);
}

/* `t` works for request `number` with this label, of which it gets a reference, in place of the one
   that it has; NULL: for none. */
static inline void task_label_set(Task *t, uint64_t number, TaskLabel *label) {
  if (label) label->refs++;
  task_label_drop(t->label);
  t->label = label;
  t->request = number;
}

/* The label of `t`, its own or its owner's, and the request's number; NULL: it has none. */
static inline TaskLabel *task_label_of(const Task *t, uint64_t *number) {
  *number = t->request;
  if (t->label || !t->owner || !t->owner->label) return t->label;
  return t->owner->label(t->owner, number);
}

/* A new task works for what its parent works for. */
static inline void task_label_inherit(Task *t, const Task *parent) {
  TaskLabel *label = task_label_of(parent, &t->request);
  if (label) task_label_set(t, t->request, label);
}

#endif
