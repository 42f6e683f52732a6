/* Blocks that end what runs in them, or keep cancels out. */
#ifndef ML_CANCEL_SCOPE_H
#define ML_CANCEL_SCOPE_H

#include <lua.h>

/* timeout(seconds, f, ...), shield(f, ...), shield_for(seconds, f, ...), deadline(seconds) */
int cancel_scope_timeout(lua_State *L);
int cancel_scope_shield(lua_State *L);
int cancel_scope_shield_for(lua_State *L);
int cancel_scope_deadline(lua_State *L);

#endif
