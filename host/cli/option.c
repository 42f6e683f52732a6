#include "cli/option.h"

#include "base/nearest.h"
#include "cli/arguments.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char block_option[] = "--block-limit", level_option[] = "--log-level",
                  format_option[] = "--log-format";

const char *option_wrong(OptionReader *reader, const char *format, ...) {
  va_list args;
  va_start(args, format);
  vsnprintf(reader->message, sizeof reader->message, format, args);
  va_end(args);
  return reader->message;
}

const char *option_unknown(OptionReader *reader, const char *command, const char *option,
                           const char *const *names, size_t n) {
  char name[48]; /* what is longer is like none */
  int length = snprintf(name, sizeof name, "%.*s", (int)strcspn(option, "="), option);
  const char *near = length < (int)sizeof name ? nearest_name(name, names, n) : NULL;
  if (!near) return option_wrong(reader, "%s: unknown option '%s'", command, option);
  return option_wrong(reader, "%s: unknown option '%s' (did you mean '%s'?)", command, option,
                      near);
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

const ValueOption *option_find(const ValueOption *list, size_t n, const char *arg) {
  for (size_t i = 0; i < n; i++)
    if (option_is(arg, list[i].name)) return &list[i];
  return NULL;
}

const char *option_read_time(OptionReader *reader, const char *name, const char *v, double unit,
                             double *value) {
  char *end;
  *value = strtod(v, &end) * unit;
  if (!*end && *value >= 0 && *value <= 1e9) return NULL;
  return option_wrong(reader, "%s must be a number of %s, not '%s'", name,
                      unit < 1 ? "milliseconds" : "seconds", v);
}

const char *option_set_log_level(OptionReader *reader, const char *v) {
  reader->request->log.level = (int)log_level_find(v, strlen(v));
  if (reader->request->log.level != LOG_LEVELS) return NULL;
  return option_wrong(reader, "%s must be " LOG_LEVEL_NAMES ", not '%s'", level_option, v);
}

const char *option_set_log_format(OptionReader *reader, const char *v) {
  reader->request->log.format = log_level_find_format(v, strlen(v));
  if (reader->request->log.format) return NULL;
  return option_wrong(reader, "%s must be " LOG_FORMAT_NAMES ", not '%s'", format_option, v);
}

bool option_is_log(const char *arg) {
  return option_is(arg, level_option) || option_is(arg, format_option);
}

const char *option_read_log(OptionReader *reader, char **list, int n, int *i) {
  bool is_level = option_is(list[*i], level_option);
  const char *v = option_value(list, n, i);
  if (!v || !*v)
    return option_wrong(reader, "%s needs a value", is_level ? level_option : format_option);
  return is_level ? option_set_log_level(reader, v) : option_set_log_format(reader, v);
}

const char *option_set_block_limit(OptionReader *reader, const char *v) {
  return option_read_time(reader, block_option, v, 1e-3, &reader->request->block_limit);
}

const char *option_set_cpu_limit(OptionReader *reader, const char *v) {
  return option_read_time(reader, "--cpu-limit", v, 1, &reader->request->cpu_limit);
}

const char *option_set_metrics(OptionReader *reader, const char *v) {
  CliRequest *r = reader->request;
  const char *wrong = inspect_socket_read(v, &r->metrics);
  r->shows_metrics = true;
  if (!wrong) return NULL;
  return option_wrong(reader, "%s: --metrics %s: %s", arguments_command_name(r->command), v, wrong);
}

const char *option_set_user(OptionReader *reader, const char *v) {
  reader->request->user = v;
  return NULL;
}

const char *option_set_group(OptionReader *reader, const char *v) {
  reader->request->group = v;
  return NULL;
}

static const char *read_inspect(OptionReader *reader, const char *arg) {
  CliRequest *r = reader->request;
  const char *equals = strchr(arg, '='), *v = equals ? equals + 1 : NULL;
  const char *wrong = inspect_socket_read(v, &r->where.inspect);
  r->where.inspects = true;
  if (!wrong) return NULL;
  return option_wrong(reader, "%s: --inspect=%s: %s", arguments_command_name(r->command), v, wrong);
}

bool option_read_serving_flag(OptionReader *reader, const char *arg, const char **wrong) {
  CliRequest *r = reader->request;
  *wrong = NULL;
  if (strcmp(arg, "--sandbox") == 0)
    r->sandbox = true;
  else if (strcmp(arg, "--core-files") == 0)
    r->core_files = true;
  else if (option_is(arg, "--inspect"))
    *wrong = read_inspect(reader, arg);
  else
    return false;
  return true;
}

const char *option_add_text(OptionReader *reader, const char ***list, int *n, const char *v) {
  const char **longer = realloc(*list, (size_t)(*n + 1) * sizeof *longer);
  if (!longer) return option_wrong(reader, "not enough memory");
  *list = longer;
  longer[(*n)++] = v;
  return NULL;
}

const char *option_add_readable(OptionReader *reader, const char *v) {
  reader->request->sandbox = true;
  return option_add_text(reader, &reader->request->readable, &reader->request->n_readable, v);
}

const char *option_add_writable(OptionReader *reader, const char *v) {
  reader->request->sandbox = true;
  return option_add_text(reader, &reader->request->writable, &reader->request->n_writable, v);
}

bool option_is_shared(const char *arg) {
  return option_is(arg, block_option) || option_is_log(arg);
}

const char *option_read_shared(OptionReader *reader, char **list, int n, int *i) {
  if (option_is_log(list[*i])) return option_read_log(reader, list, n, i);
  const char *v = option_value(list, n, i);
  if (!v || !*v) return option_wrong(reader, "%s needs a value", block_option);
  return option_set_block_limit(reader, v);
}
