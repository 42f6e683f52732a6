/* Groups of tasks. */
#ifndef ML_TASK_GROUP_H
#define ML_TASK_GROUP_H

#include <lua.h>

/* group() -> group, for `local g <close> = ml.group()`
   group(f) -> f's results
   Leaving the block, or f, waits for all tasks of the group; the first failure cancels the others.
 */
int task_group(lua_State *L);

#endif
