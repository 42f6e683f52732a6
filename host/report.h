/* What people read about failures: tracebacks that follow an error from task to task, and the
   report of an error that nobody awaits. */
#ifndef ML_REPORT_H
#define ML_REPORT_H

#include "task.h"

/* A task keeps the origin of the error that is on its way through it: the text that the traceback
   of the place where it is caught could not tell (another task's, a coroutine's, a worker's). */

/* Raises the value below the top of L; the text on the top is its origin. */
int report_raise_with_origin(lua_State *L);

/* Notes the traceback of this very place as that of the error value at `index`, which is about to
   be raised from a hook in L: whoever lets it through would not see it. */
void report_note_traceback(lua_State *L, int index);

/* Forgets what is kept for `t`: its error was caught, or the task has ended. */
void report_forget_origin(Task *t);

/* The message handler of task bodies: keeps the traceback, then returns the error value as it is.
 */
int report_error_handler(lua_State *L);

/* Pushes the traceback kept for the error value at `index`, which ended `t`, or nil. */
void report_push_traceback(lua_State *L, Task *t, int index);

/* Prints a failure to where the runtime's reports go:
     <headline>: <the error at `index`, as error_push_text shows it>
     <traceback>
     <place, where it is not NULL>
   May run __tostring; errors in it are shown in place of the text. Never raises but for memory. */
void report_error(lua_State *L, const char *headline, int index, const char *traceback,
                  const char *place);

/* The failure of the userdata at `index` is reported in a second, unless *observed (inside of it)
   is true by then. Its user value is {error, traceback}; the headline is a literal, the place is
   copied or NULL. */
void report_unawaited(lua_State *L, int index, bool *observed, const char *headline,
                      const char *place);

/* Prints the failures whose time has come (`all`: each one) that are not observed. */
void report_flush(Runtime *rt, bool all);

/* Prints `text` to where the runtime's reports go. */
void report_print(Runtime *rt, const char *text);

#endif
