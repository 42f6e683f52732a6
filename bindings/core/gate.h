/* A gate that one task opens for others. */
#ifndef ML_GATE_H
#define ML_GATE_H

#include <lua.h>

/* gate() -> gate */
int gate_new(lua_State *L);

#endif
