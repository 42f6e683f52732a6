#include "cli/work_arguments.h"

#include "cli/defaults.h"

#include <string.h>

static const char queues_option[] = "--queues", drain_option[] = "--drain",
                  cpu_option[] = "--cpu-limit";

bool work_arguments_has(const char *arg) {
  return option_is(arg, queues_option) || option_is(arg, drain_option) ||
         option_is(arg, cpu_option) || option_is_shared(arg);
}

static const char core_files_option[] = "--core-files";

static const char *read_option(OptionReader *reader, char **list, int n, int *i) {
  static const char *const names[] = {queues_option, drain_option, cpu_option, OPTION_SHARED_NAMES};
  CliRequest *r = reader->request;
  const char *option = list[*i];
  if (!work_arguments_has(option))
    return option_unknown(reader, "work", option, names, sizeof names / sizeof *names);
  if (option_is_shared(option)) return option_read_shared(reader, list, n, i);
  const char *value = option_value(list, n, i);
  if (!value || !*value)
    return option_wrong(reader, "work: %.*s needs a value", (int)strcspn(option, "="), option);
  if (option_is(option, drain_option))
    return option_read_time(reader, drain_option, value, 1, &r->drain);
  if (option_is(option, cpu_option))
    return option_read_time(reader, cpu_option, value, 1, &r->cpu_limit);
  r->queues = value;
  return NULL;
}

const char *work_arguments_read(OptionReader *reader, char **list, int n) {
  CliRequest *r = reader->request;
  r->drain = DEFAULTS_WORK_DRAIN;
  r->cpu_limit = DEFAULTS_CPU_LIMIT;
  for (int i = 0; i < n; i++) {
    if (strcmp(list[i], core_files_option) == 0) {
      r->core_files = true;
    } else if (list[i][0] == '-') {
      const char *bad = read_option(reader, list, n, &i);
      if (bad) return bad;
    } else if (r->target) {
      return option_wrong(reader, "work: only one app file is allowed, not also '%s'", list[i]);
    } else {
      r->target = list[i];
    }
  }
  return NULL;
}
