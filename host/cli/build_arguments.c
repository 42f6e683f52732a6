#include "cli/build_arguments.h"

#include <stdlib.h>
#include <string.h>

static const char *const options[] = {"--output", "--include", "--leave-out"};
enum { OPTIONS = sizeof options / sizeof *options };

static bool is_output(const char *arg) {
  return option_is(arg, options[0]) || strncmp(arg, "-o", 2) == 0;
}

bool build_arguments_has(const char *arg) {
  for (int i = 0; i < OPTIONS; i++)
    if (option_is(arg, options[i])) return true;
  return false;
}

/* -o FILE, -oFILE, --output FILE, --output=FILE; the others have no short form. */
static const char *value_of(char **list, int n, int *i) {
  const char *arg = list[*i];
  if (arg[1] == 'o' && arg[2]) return arg + 2;
  return option_value(list, n, i);
}

static const char *read_option(OptionReader *reader, char **list, int n, int *i) {
  CliRequest *r = reader->request;
  const char *option = list[*i];
  if (!is_output(option) && !build_arguments_has(option))
    return option_unknown(reader, "build", option, options, OPTIONS);
  const char *value = value_of(list, n, i);
  if (!value || !*value)
    return option_wrong(reader, "build: %.*s needs a value", (int)strcspn(option, "="), option);
  if (is_output(option))
    r->output = value;
  else if (option_is(option, "--include"))
    r->included[r->n_included++] = value;
  else
    r->left_out[r->n_left_out++] = value;
  return NULL;
}

const char *build_arguments_read(OptionReader *reader, char **list, int n) {
  CliRequest *r = reader->request;
  r->block_limit = 0; /* nobody else is there who would have to wait */
  r->included = calloc((size_t)n + 1, sizeof *r->included);
  r->left_out = calloc((size_t)n + 1, sizeof *r->left_out);
  if (!r->included || !r->left_out) return option_wrong(reader, "not enough memory");
  for (int i = 0; i < n; i++) {
    const char *wrong = NULL;
    if (list[i][0] == '-' && list[i][1])
      wrong = read_option(reader, list, n, &i);
    else if (r->target)
      wrong = option_wrong(reader, "build: only one app file is allowed, not also '%s'", list[i]);
    else
      r->target = list[i];
    if (wrong) return wrong;
  }
  if (!r->target) return option_wrong(reader, "build: the app file is missing");
  if (!r->output) return option_wrong(reader, "build: the name of the program is missing: -o FILE");
  return NULL;
}
