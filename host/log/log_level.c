#include "log/log_level.h"

#include <string.h>

static const char *const level_names[LOG_LEVELS] = {"debug", "info", "warn", "error"};
static const char *const format_names[] = {
    [LOG_FORMAT_TERMINAL] = "terminal", [LOG_FORMAT_TEXT] = "text", [LOG_FORMAT_JSON] = "json"};

static bool is_name(const char *known, const char *name, size_t n) {
  return strlen(known) == n && memcmp(known, name, n) == 0;
}

const char *log_level_name(LogLevel level) { return level_names[level]; }

LogLevel log_level_find(const char *name, size_t n) {
  for (int i = 0; i < LOG_LEVELS; i++)
    if (is_name(level_names[i], name, n)) return (LogLevel)i;
  return LOG_LEVELS;
}

const char *log_level_format_name(LogFormat format) { return format_names[format]; }

LogFormat log_level_find_format(const char *name, size_t n) {
  for (int i = LOG_FORMAT_TERMINAL; i <= LOG_FORMAT_JSON; i++)
    if (is_name(format_names[i], name, n)) return (LogFormat)i;
  return LOG_FORMAT_UNSET;
}

bool log_level_read(const char *text, LogSettings *settings) {
  size_t n = strcspn(text, ",");
  *settings = LOG_SETTINGS_UNSET;
  if (n) settings->level = (int)log_level_find(text, n);
  if (n && settings->level == LOG_LEVELS) return false;
  if (!text[n]) return true;
  const char *format = text + n + 1;
  settings->format = log_level_find_format(format, strlen(format));
  return settings->format != LOG_FORMAT_UNSET;
}
