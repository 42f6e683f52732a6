/* What is logged, and how: levels and formats by name, and both as MOONLOOP_LOG has them. */
#ifndef ML_LOG_LEVEL_H
#define ML_LOG_LEVEL_H

#include "log/log_entry.h"

typedef enum LogFormat {
  LOG_FORMAT_UNSET,    /* terminal or JSON, whichever fits the standard error */
  LOG_FORMAT_TERMINAL, /* time, level, message and fields, in colour */
  LOG_FORMAT_TEXT,     /* message and fields */
  LOG_FORMAT_JSON,     /* an object a line */
} LogFormat;

typedef struct LogSettings {
  int level; /* a LogLevel; LOG_LEVELS: not given */
  LogFormat format;
} LogSettings;

#define LOG_SETTINGS_UNSET ((LogSettings){LOG_LEVELS, LOG_FORMAT_UNSET})

/* For messages about wrong names. */
#define LOG_LEVEL_NAMES "debug, info, warn or error"
#define LOG_FORMAT_NAMES "terminal, text or json"

/* "debug", "info", "warn", "error" */
const char *log_level_name(LogLevel level);

/* The level of the `n` bytes at `name`; LOG_LEVELS if there is none. */
LogLevel log_level_find(const char *name, size_t n);

/* "terminal", "text", "json"; not for LOG_FORMAT_UNSET */
const char *log_level_format_name(LogFormat format);

/* The format called so; LOG_FORMAT_UNSET if there is none. */
LogFormat log_level_find_format(const char *name, size_t n);

/* Reads "level", "level,format" or ",format". False if it is none of these. */
bool log_level_read(const char *text, LogSettings *settings);

#endif
