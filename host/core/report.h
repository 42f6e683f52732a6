/* Printing failures, and reporting errors that nobody awaits. */
#ifndef ML_REPORT_H
#define ML_REPORT_H

#include "core/names.h"
#include "core/timer.h"

#include <lua.h>
#include <stdbool.h>

/* The runtime's part. */
typedef struct Reports {
  /* failures that nobody has awaited yet */
  bool due; /* the time of the first has come */
  struct Unawaited *unawaited, **unawaited_tail;
  struct Unawaited *watched; /* failures whose time came while somebody watched them */
  Timer timer;
  void (*print)(void *data, const char *text); /* where reports go; NULL: stderr */
  void *print_data;
  bool warnings_off, warning_continues; /* the state of warn(...) */
} Reports;

/* Prints a failure to where the runtime's reports go:
     <headline>: <the error at `index`, as error_text_push shows it>
     <traceback>
     <place, if not NULL>
   May run __tostring; errors in it are shown instead of the text. Raises only if memory is out. */
void report_error(lua_State *L, const char *headline, int index, const char *traceback,
                  const char *place);

/* Records who learns of the failure of a task or a future. */
typedef struct Audience {
  int watchers; /* watchers that have been told, and may or may not pass it on */
  bool heard;   /* it was or will be raised somewhere, or was reported */
} Audience;

/* Reports the failure of the userdata at `index` in a second, unless its audience (inside of it)
   has heard of it by then. While somebody watches it, the report waits. Its user value is {error,
   origin (traceback.h)}; the headline is a literal, the place is copied or NULL. */
void report_unawaited(lua_State *L, int index, Audience *audience, const char *headline,
                      const char *place);

/* Somebody has stopped watching failures: those that nobody else watches or has heard of are
   reported in a second. */
void report_watch_over(Runtime *rt);

/* Prints the failures whose time has come (`all`: each one) that nobody has heard of. */
void report_flush(Runtime *rt, bool all);

/* From now on reports go to print(data, text); NULL: to standard error, as they do at first. */
void report_to(Runtime *rt, void (*print)(void *data, const char *text), void *data);

/* Prints `text` to where the runtime's reports go. */
void report_print(Runtime *rt, const char *text);

/* A lua_WarnFunction whose data is the runtime: warn(...), and errors in __gc. They are printed
   unless a script says warn("@off"). */
void report_warning(void *rt, const char *message, int to_be_continued);

#endif
