#include "cli/option.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char block_option[] = "--block-limit";

const char *option_wrong(OptionReader *reader, const char *format, ...) {
  va_list args;
  va_start(args, format);
  vsnprintf(reader->message, sizeof reader->message, format, args);
  va_end(args);
  return reader->message;
}

const char *option_value(char **list, int n, int *i) {
  const char *value = strchr(list[*i], '=');
  if (value) return value + 1;
  return *i + 1 < n ? list[++*i] : NULL;
}

bool option_is(const char *arg, const char *name) {
  size_t n = strlen(name);
  return strncmp(arg, name, n) == 0 && (arg[n] == 0 || arg[n] == '=');
}

const char *option_read_time(OptionReader *reader, const char *name, const char *v, double unit,
                             double *value) {
  char *end;
  *value = strtod(v, &end) * unit;
  if (!*end && *value >= 0 && *value <= 1e9) return NULL;
  return option_wrong(reader, "%s must be a number of %s, not '%s'", name,
                      unit < 1 ? "milliseconds" : "seconds", v);
}

bool option_is_block_limit(const char *arg) { return option_is(arg, block_option); }

const char *option_read_block_limit(OptionReader *reader, char **list, int n, int *i) {
  const char *v = option_value(list, n, i);
  if (!v || !*v) return option_wrong(reader, "%s needs a value", block_option);
  return option_read_time(reader, block_option, v, 1e-3, &reader->request->block_limit);
}
