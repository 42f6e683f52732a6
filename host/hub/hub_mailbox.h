/* A receiver whose messages a task takes, one after the other: a stream of events. */
#ifndef ML_HUB_MAILBOX_H
#define ML_HUB_MAILBOX_H

#include "core/waiters.h"
#include "hub/hub.h"

typedef struct HubLetter {
  struct HubLetter *next;
  size_t n;
  char bytes[];
} HubLetter;

/* Its owner keeps it where it is until it is closed. */
typedef struct HubMailbox {
  HubMember *members;
  HubLetter *first, **last;
  size_t bytes;            /* of all letters */
  bool is_over;            /* closed: nothing comes any more */
  Waiters line;            /* tasks that wait for a letter */
  void (*cut)(void *data); /* called where it is too far behind */
  void *data;
} HubMailbox;

extern const HubReceiverType hub_mailbox_type;

/* Makes an empty one. `cut(data)` is called where it is too far behind; it is closed by then. */
void hub_mailbox_open(HubMailbox *m, void (*cut)(void *data), void *data);

/* The oldest letter, which the caller frees; NULL if there is none. */
HubLetter *hub_mailbox_take(HubMailbox *m);

/* Leaves all topics, drops what nobody took and wakes the tasks. */
void hub_mailbox_close(HubMailbox *m);

#endif
