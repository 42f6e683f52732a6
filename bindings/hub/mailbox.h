/* moonloop.hub.mailbox: what a stream of events gets from hubs, taken by the task that writes it.
 */
#ifndef ML_MAILBOX_H
#define ML_MAILBOX_H

#include "hub/hub_mailbox.h"

#include <lua.h>

/* Pushes an empty one, which has a user value. `cut` and `keeps`: as with hub_mailbox_open; they
   must not enter Lua. */
void mailbox_push(lua_State *L, void (*cut)(void *data), bool (*keeps)(void *data, ptrdiff_t more),
                  void *data);

/* The mailbox at `index`, or NULL for any other value. */
HubMailbox *mailbox_test(lua_State *L, int index);

#endif
