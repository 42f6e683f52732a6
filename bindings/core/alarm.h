/* What the host does later, behind the back of all tasks. */
#ifndef ML_ALARM_H
#define ML_ALARM_H

#include <lua.h>

/* alarm(f) -> set: set(seconds) has f called at that time, in a task in the background, which keeps
   no run alive; a time that was set before is forgotten. f may suspend, and returns how many values
   it has let go of: where there were many, their memory is returned to the system. Kept as long as
   the state. */
int alarm_new(lua_State *L);

#endif
