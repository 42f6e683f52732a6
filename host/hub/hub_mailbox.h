/* A receiver whose messages a task takes, one after the other: a stream of events. */
#ifndef ML_HUB_MAILBOX_H
#define ML_HUB_MAILBOX_H

#include "core/waiters.h"
#include "hub/hub.h"

#include <stddef.h>

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
  bool (*keeps)(void *data, ptrdiff_t more);
  void *data;
} HubMailbox;

extern const HubReceiverType hub_mailbox_type;

/* Makes an empty one. `cut(data)` is called where it is too far behind; it is closed by then.
   `keeps(data, more)` is told of how many bytes its letters have more, or less, and returns false
   if whoever has such mailboxes keeps too much: then it is too far behind with fewer. */
void hub_mailbox_open(HubMailbox *m, void (*cut)(void *data),
                      bool (*keeps)(void *data, ptrdiff_t more), void *data);

/* The oldest letter, which the caller frees; NULL if there is none. */
HubLetter *hub_mailbox_take(HubMailbox *m);

/* Leaves all topics, drops what nobody took and wakes the tasks. */
void hub_mailbox_close(HubMailbox *m);

#endif
