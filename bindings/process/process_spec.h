/* What a program is started with, read from the tables that scripts/moonloop/process makes. */
#ifndef ML_PROCESS_SPEC_H
#define ML_PROCESS_SPEC_H

#include "process/process.h"

#include <lua.h>

/* Reads `argv`, a list of strings, at index 1 and the options at index 2 into `options`, which
   points into what it leaves on the stack. Raises where they are wrong. */
void process_spec_read(lua_State *L, ProcessOptions *options);

/* Pushes nil and an error object that says what could not be done and why. Returns 2. */
int process_spec_fail(lua_State *L, const ProcessOptions *options, const ProcessFailure *failure);

#endif
