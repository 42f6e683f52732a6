#include "hub/hub_socket.h"

#include <string.h>

#define BEHIND "too far behind"

/* What waits for the end of the pass is no sign that its peer is slow. */
static bool is_behind(WsLink *link, size_t n, size_t max_backlog) {
  size_t most = max_backlog, queued = ws_link_queued(link);
  if (queued > WS_LOW_WATER && WS_LOW_WATER + n < most && ws_link_is_crowded(link))
    most = WS_LOW_WATER + n;
  if (queued + n <= most) return false;
  ws_link_flush(link);
  return ws_link_is_open(link) && ws_link_queued(link) + n > most;
}

static bool take(void *receiver, HubMessage *message, size_t max_backlog) {
  WsLink *link = receiver;
  if (!message->encoded)
    message->encoded = ws_message_new(message->bytes, message->n, message->is_text);
  if (!message->encoded) return true; /* memory is out: it is lost */
  if (is_behind(link, message->n, max_backlog)) return false;
  ws_link_send_message(link, message->encoded);
  return true;
}

static void drop(void *receiver) {
  ws_link_close(receiver, WS_CODE_TRY_LATER, BEHIND, strlen(BEHIND));
}

const HubReceiverType hub_socket_type = {.take = take, .drop = drop};

static void leave(WsLink *link) { hub_leave_all(NULL, &link->members); }

HubMember **hub_socket_members(WsLink *link) {
  if (!ws_link_is_open(link)) return NULL;
  link->left = leave;
  return &link->members;
}
