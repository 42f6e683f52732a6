/* Entries as text. Whatever bytes are in it, an entry cannot look like two: JSON is one line, and
   in text only the host's own lines begin at the left. */
#ifndef ML_LOG_FORMAT_H
#define ML_LOG_FORMAT_H

#include "base/buffer.h"
#include "log/log_entry.h"

enum {
  LOG_MESSAGE_MAX = 8 * 1024, /* bytes of a message, and of a value; what is longer is cut */
  LOG_BELOW_MAX = 24 * 1024,  /* bytes of lines below a message */
  LOG_LINE_MAX = 56 * 1024,   /* bytes of a line of JSON; fields that do not fit are left out */
  LOG_CONTEXT_ROOM = 2 * 1024 /* of these, for the context alone */
};

/* What a line of JSON says about the process. */
typedef struct LogProcess {
  int worker; /* number of the worker process; 0: not a worker */
  int pid;
} LogProcess;

/* Appends a JSON object and a line end: time, level, message, logger ("moonloop" for the host),
   the fields, and for workers `worker` and `pid`. False if memory is out; then `out` is as
   before. */
bool log_format_json(Buffer *out, const LogEntry *entry, const LogProcess *process);

/* A string of JSON with its quotes, one line whatever it contains. Bytes that are no UTF-8 are
   written as the text \xhh. Cut to `max` bytes of `text`. */
bool log_format_json_string(Buffer *out, const char *text, size_t n, size_t max);

/* The name of a field, as such a string. One that another field has gets a "_" behind it. */
bool log_format_json_name(Buffer *out, const char *name, size_t n, bool is_taken);

/* How text is shown. */
typedef struct LogStyle {
  bool stamped; /* time and level are in front */
  bool colours;
  int offset; /* seconds that the time shown is ahead of UTC */
} LogStyle;

/* Appends message and fields with a line end; what the host says begins with "moonloop: ". Control
   bytes are quoted as \xhh, and lines that follow in a message are indented. The lines of fields
   below the message are not indented unless it is stamped. The host's own entries show their
   context only if stamped. */
bool log_format_text(Buffer *out, const LogEntry *entry, const LogStyle *style);

/* Date and time in UTC as "2026-11-29T12:30:01.123Z", or the time alone, `offset` seconds ahead, as
   "12:30:01.123". Both may be used in signal handlers. */
bool log_format_date(Buffer *out, int64_t time);
bool log_format_clock(Buffer *out, int64_t time, int offset);

#endif
