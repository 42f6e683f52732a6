/* The log of the process: entries on its standard error, without ever waiting for who reads there.
   It belongs to the process, since that has one standard error; any thread may use it. */
#ifndef ML_LOG_OUTPUT_H
#define ML_LOG_OUTPUT_H

#include "base/buffer.h"
#include "log/log_level.h"

/* Settings that count more than MOONLOOP_LOG; what is unset in them does not. To be called before
   threads are started. */
void log_output_choose(LogSettings settings);

/* This process is worker `number`; `format` is its supervisor's, or unset. The same. */
void log_output_set_worker(int number, LogFormat format);

/* Is the level high enough to be logged? */
bool log_output_wants(LogLevel level);

/* The format that is in use. */
LogFormat log_output_format(void);

/* What MOONLOOP_LOG has that cannot be read, or NULL. */
const char *log_output_wrong_setting(void);

/* Seconds since 1970 in nanoseconds. */
int64_t log_output_now(void);

/* Appends the entry as a line of JSON, whatever the format. False if memory is out. */
bool log_output_format_json(Buffer *out, const LogEntry *entry);

/* Writes the entry, whatever its level. If nobody reads, it waits; beyond a limit it is lost and
   counted, errors last. True if something waits: log_output_retry, a moment later. */
bool log_output_write(const LogEntry *entry);

/* Writes `n` bytes of whole lines instead of an entry. */
bool log_output_write_lines(const char *lines, size_t n);

/* An entry of the host with this message and no fields. */
bool log_output_say(LogLevel level, const char *message);

/* Writes what waits, if there is room now. True if something still waits. */
bool log_output_retry(void);

/* The process ends: gives what waits a second at most. */
void log_output_finish(void);

/* Writes an entry from a signal handler: it does not wait, take locks or memory. What does not fit
   into 32 kB or has no room is lost. */
void log_output_write_in_signal(const LogEntry *entry);

#endif
