#include "cli/work_arguments.h"

#include "cli/defaults.h"

#include <string.h>

static const char *set_queues(OptionReader *reader, const char *v) {
  reader->request->queues = v;
  return NULL;
}

static const char *set_drain(OptionReader *reader, const char *v) {
  return option_read_time(reader, "--drain", v, 1, &reader->request->drain);
}

static const ValueOption work_options[] = {
    {"--queues", set_queues},
    {"--drain", set_drain},
    OPTION_SERVING,
};
enum { OPTIONS = sizeof work_options / sizeof *work_options };

static const ValueOption *find_option(const char *arg) {
  return option_find(work_options, OPTIONS, arg);
}

bool work_arguments_has(const char *arg) { return find_option(arg); }

static const char *unknown_option(OptionReader *reader, const char *option) {
  static const char *const flags[] = {OPTION_SERVING_FLAGS};
  enum { FLAGS = sizeof flags / sizeof *flags };
  const char *names[OPTIONS + FLAGS];
  size_t n = 0;
  for (size_t i = 0; i < FLAGS; i++) names[n++] = flags[i];
  for (size_t i = 0; i < OPTIONS; i++) names[n++] = work_options[i].name;
  return option_unknown(reader, "work", option, names, n);
}

static const char *read_option(OptionReader *reader, char **list, int n, int *i) {
  const char *option = list[*i];
  const ValueOption *known = find_option(option);
  if (!known) return unknown_option(reader, option);
  const char *value = option_value(list, n, i);
  if (!value || !*value)
    return option_wrong(reader, "work: %.*s needs a value", (int)strcspn(option, "="), option);
  return known->set(reader, value);
}

const char *work_arguments_read(OptionReader *reader, char **list, int n) {
  CliRequest *r = reader->request;
  r->drain = DEFAULTS_WORK_DRAIN;
  r->cpu_limit = DEFAULTS_CPU_LIMIT;
  for (int i = 0; i < n; i++) {
    const char *bad;
    if (option_read_serving_flag(reader, list[i], &bad)) {
      if (bad) return bad;
      continue;
    }
    if (list[i][0] == '-')
      bad = read_option(reader, list, n, &i);
    else if (r->target)
      bad = option_wrong(reader, "work: only one app file is allowed, not also '%s'", list[i]);
    else
      r->target = list[i];
    if (bad) return bad;
  }
  return NULL;
}
