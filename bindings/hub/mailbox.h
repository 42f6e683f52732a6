/* moonloop.hub.mailbox: what a stream of events gets from hubs, taken by the task that writes it.
 */
#ifndef ML_MAILBOX_H
#define ML_MAILBOX_H

#include "hub/hub_mailbox.h"

#include <lua.h>

/* Pushes an empty one, which has a user value. `cut(data)` is called where it is too far behind; it
   must not enter Lua. */
void mailbox_push(lua_State *L, void (*cut)(void *data), void *data);

/* The mailbox at `index`, or NULL for any other value. */
HubMailbox *mailbox_test(lua_State *L, int index);

#endif
