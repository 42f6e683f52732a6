/* WebSockets as receivers of hubs. */
#ifndef ML_HUB_SOCKET_H
#define ML_HUB_SOCKET_H

#include "hub/hub.h"
#include "websocket/ws_link.h"

/* For hub_join, whose receiver is the WsLink. */
extern const HubReceiverType hub_socket_type;

/* The memberships of a link that is open; they go with it. NULL: it is not. */
HubMember **hub_socket_members(WsLink *link);

#endif
