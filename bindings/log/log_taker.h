/* ml.log.to: entries wait in a queue until a task passes them to a function of the script. */
#ifndef ML_LOG_TAKER_H
#define ML_LOG_TAKER_H

#include <lua.h>

/* to(f | nil): calls f(line) for each entry, a text of JSON, in a task; nil: entries go to the log
   again, with those that still wait. */
int log_taker_set(lua_State *L);

#endif
