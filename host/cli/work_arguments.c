#include "cli/work_arguments.h"

#include "cli/defaults.h"

#include <string.h>

static const char core_files_option[] = "--core-files", sandbox_option[] = "--sandbox",
                  inspect_option[] = "--inspect";

static const char *set_queues(OptionReader *reader, const char *v) {
  reader->request->queues = v;
  return NULL;
}

static const char *set_drain(OptionReader *reader, const char *v) {
  return option_read_time(reader, "--drain", v, 1, &reader->request->drain);
}

static const char *set_cpu_limit(OptionReader *reader, const char *v) {
  return option_read_time(reader, "--cpu-limit", v, 1, &reader->request->cpu_limit);
}

/* Those that take a value, besides the shared ones. */
static const struct WorkOption {
  const char *name;
  const char *(*set)(OptionReader *reader, const char *v);
} work_options[] = {
    {"--queues", set_queues},
    {"--drain", set_drain},
    {"--cpu-limit", set_cpu_limit},
    {"--metrics", option_set_metrics},
    {"--sandbox-read", option_add_readable},
    {"--sandbox-write", option_add_writable},
};
enum { OPTIONS = sizeof work_options / sizeof *work_options };

static const struct WorkOption *find_option(const char *arg) {
  for (size_t i = 0; i < OPTIONS; i++)
    if (option_is(arg, work_options[i].name)) return &work_options[i];
  return NULL;
}

bool work_arguments_has(const char *arg) { return find_option(arg) || option_is_shared(arg); }

static const char *unknown_option(OptionReader *reader, const char *option) {
  static const char *const others[] = {core_files_option, sandbox_option, inspect_option,
                                       OPTION_SHARED_NAMES};
  enum { OTHERS = sizeof others / sizeof *others };
  const char *names[OPTIONS + OTHERS];
  size_t n = 0;
  for (size_t i = 0; i < OTHERS; i++) names[n++] = others[i];
  for (size_t i = 0; i < OPTIONS; i++) names[n++] = work_options[i].name;
  return option_unknown(reader, "work", option, names, n);
}

static const char *read_option(OptionReader *reader, char **list, int n, int *i) {
  const char *option = list[*i];
  const struct WorkOption *known = find_option(option);
  if (option_is_shared(option)) return option_read_shared(reader, list, n, i);
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
    const char *bad = NULL;
    if (strcmp(list[i], core_files_option) == 0) {
      r->core_files = true;
    } else if (strcmp(list[i], sandbox_option) == 0) {
      r->sandbox = true;
    } else if (option_is(list[i], inspect_option)) {
      bad = option_read_inspect(reader, list[i]);
    } else if (list[i][0] == '-') {
      bad = read_option(reader, list, n, &i);
    } else if (r->target) {
      bad = option_wrong(reader, "work: only one app file is allowed, not also '%s'", list[i]);
    } else {
      r->target = list[i];
    }
    if (bad) return bad;
  }
  return NULL;
}
