/* A script's function that looks at errors where they are raised. */
#ifndef ML_RAISED_H
#define ML_RAISED_H

#include <lua.h>

/* on_raised(f): f(err) runs when an error that is not caught on the way is raised in a task, while
   its frames still stand: for `moonloop dev`. It may not wait; what it raises is ignored. nil: no
   longer. */
int raised_listen(lua_State *L);

#endif
