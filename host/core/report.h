/* The runtime's side of the log: entries get their context and go where this runtime's go. Failures
   become entries, also those that nobody awaits. */
#ifndef ML_REPORT_H
#define ML_REPORT_H

#include "core/names.h"
#include "core/timer.h"
#include "log/log_fields.h"

#include <lua.h>
#include <stdbool.h>

/* Takes the runtime's entries instead of the process's log (ml.log.to). */
typedef struct ReportTaker {
  /* An entry about `subject`, a task or NULL. False: the log shall have it. Must not enter Lua. */
  bool (*take)(struct ReportTaker *taker, Runtime *rt, const LogEntry *entry, const Task *subject);
} ReportTaker;

/* The runtime's part. */
typedef struct Reports {
  /* failures that nobody has awaited yet */
  bool due; /* the time of the first has come */
  struct Unawaited *unawaited, **unawaited_tail;
  struct Unawaited *watched; /* failures whose time came while somebody watched them */
  Timer timer;
  const Task *about; /* the task that an entry is about if none is running, or NULL */
  /* the fields that ml.log.with has bound to the task, or NULL; may be NULL itself */
  const LogKeptFields *(*bound)(Runtime *rt, const Task *t);
  /* the ids of the task's span as text; false: it has none; the same */
  bool (*trace_ids)(const Task *t, char trace_id[33], char span_id[17]);
  ReportTaker *taker;                          /* or NULL */
  void (*print)(void *data, const char *text); /* where they go as text; or NULL */
  void *print_data;
  bool warnings_off;  /* the state of warn(...) */
  char *warning;      /* what it has said so far of a warning in pieces, or NULL */
  uv_timer_t *retry;  /* for what waits until somebody reads; made at first use */
  CloseHook on_close; /* closes it */
} Reports;

/* Logs the entry, whose fields are `fields`: adds the fields of the context (request_id, route,
   trace_id, what is bound), the time, and writes or passes it on. The level must be wanted
   (report_wants). Does not enter Lua. */
void report_entry(Runtime *rt, LogEntry *entry, LogFields *fields);

/* Writes an entry that a taker has taken and could not pass on. */
void report_written(Runtime *rt, const LogEntry *entry);

/* Does anybody want entries of this level? */
bool report_wants(LogLevel level);

/* Logs a message of the host. */
void report_say(Runtime *rt, LogLevel level, const char *message);
void report_sayf(Runtime *rt, LogLevel level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* How often something has come, and how often when that was last told. All zero: never. */
typedef struct ReportCount {
  unsigned long long n, told;
} ReportCount;

/* It has come once more. Is that told? The first time, and whenever it has come twice as often. */
bool report_counts(ReportCount *count);

/* Logs a failure:
     <headline, if not NULL>: <the error at `index`, as error_text_push shows it>
     <traceback, if not NULL>
     <place, if not NULL>
   with the error, its kind, code and causes as fields. May run __tostring; errors in it are shown
   instead of the text. Raises only if memory is out. */
void report_error(lua_State *L, const char *headline, int index, const char *traceback,
                  const char *place);

/* The same with the context of another place (report_keep_context); NULL: of this one. */
void report_error_of(lua_State *L, const char *headline, int index, const char *traceback,
                     const char *place, const LogKeptFields *context);

/* The context of this place in memory of its own, to be freed by the caller. NULL: no memory. */
LogKeptFields *report_keep_context(Runtime *rt);

/* From now on this function gives the fields trace_id and span_id of entries. It is called in
   signal handlers, too. */
void report_set_trace_ids(Runtime *rt,
                          bool (*trace_ids)(const Task *t, char trace_id[33], char span_id[17]));

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

/* Logs the failures whose time has come (`all`: each one) that nobody has heard of. */
void report_flush(Runtime *rt, bool all);

/* From now on entries go to print(data, text) as text; NULL: to the log, as they do at first. */
void report_to(Runtime *rt, void (*print)(void *data, const char *text), void *data);

/* A lua_WarnFunction whose data is the runtime: warn(...), and errors in __gc. They are logged
   unless a script says warn("@off"). */
void report_warning(void *rt, const char *message, int to_be_continued);

/* The same as report_entry for a signal handler: never to a taker, without what is bound. */
void report_entry_in_signal(Runtime *rt, LogEntry *entry, LogFields *fields);

#endif
