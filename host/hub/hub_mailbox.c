#include "hub/hub_mailbox.h"

#include <stdlib.h>
#include <string.h>

/* While all together keep too much. */
enum { MOST_IF_FULL = 16 * 1024 };

static bool take(void *receiver, HubMessage *message, size_t max_backlog) {
  HubMailbox *m = receiver;
  if (m->is_over) return true;
  if (m->bytes + message->n > max_backlog) return false;
  if (m->bytes > MOST_IF_FULL && !m->keeps(m->data, 0)) return false;
  HubLetter *letter = malloc(sizeof *letter + message->n);
  if (!letter) return false;
  letter->next = NULL;
  letter->n = message->n;
  if (message->n) memcpy(letter->bytes, message->bytes, message->n);
  *m->last = letter;
  m->last = &letter->next;
  m->bytes += message->n;
  m->keeps(m->data, (ptrdiff_t)message->n);
  waiters_wake_first(&m->line);
  return true;
}

static void drop(void *receiver) {
  HubMailbox *m = receiver;
  hub_mailbox_close(m);
  m->cut(m->data);
}

const HubReceiverType hub_mailbox_type = {.take = take, .drop = drop};

void hub_mailbox_open(HubMailbox *m, void (*cut)(void *data),
                      bool (*keeps)(void *data, ptrdiff_t more), void *data) {
  *m = (HubMailbox){.cut = cut, .keeps = keeps, .data = data};
  m->last = &m->first;
  waiters_init(&m->line);
}

HubLetter *hub_mailbox_take(HubMailbox *m) {
  HubLetter *letter = m->first;
  if (!letter) return NULL;
  m->first = letter->next;
  if (!m->first) m->last = &m->first;
  m->bytes -= letter->n;
  m->keeps(m->data, -(ptrdiff_t)letter->n);
  return letter;
}

void hub_mailbox_close(HubMailbox *m) {
  hub_leave_all(NULL, &m->members);
  m->is_over = true;
  for (HubLetter *letter; (letter = hub_mailbox_take(m));) free(letter);
  waiters_wake_all(&m->line);
}
