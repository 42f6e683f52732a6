/* An entry of the log: what is known about one event, before it is written in any format. */
#ifndef ML_LOG_ENTRY_H
#define ML_LOG_ENTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum LogLevel { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR, LOG_LEVELS } LogLevel;

/* Who speaks. */
typedef enum LogSource {
  LOG_SCRIPT, /* ml.log */
  LOG_HOST,   /* the host itself */
  LOG_LUA     /* warn(...) */
} LogSource;

typedef enum LogFieldKind {
  LOG_FIELD_TEXT,    /* any bytes */
  LOG_FIELD_JSON,    /* a JSON text on one line: a number, true, a list */
  LOG_FIELD_BELOW,   /* lines that text formats show below the message, such as a traceback */
  LOG_FIELD_QUIET,   /* a text that the message already has: text formats leave it out */
  LOG_FIELD_CONTEXT, /* a text that tells where the event belongs */
} LogFieldKind;

/* Texts need no NUL at their end; the entry's maker keeps them alive. */
typedef struct LogField {
  const char *name, *value;
  size_t name_len, value_len;
  LogFieldKind kind;
  bool gives_way; /* the context has a field of its name: a "_" follows its own */
} LogField;

typedef struct LogEntry {
  LogLevel level;
  LogSource source;
  int64_t time; /* nanoseconds since 1970 */
  const char *message;
  size_t message_len;
  const LogField *fields;
  size_t n_fields;
} LogEntry;

#endif
