/* Reading one option of the command line. */
#ifndef ML_OPTION_H
#define ML_OPTION_H

#include "cli/cli.h"

typedef struct OptionReader {
  int argc;
  char **argv;
  CliRequest *request; /* where the values go */
  char message[512];   /* what is wrong */
} OptionReader;

/* Formats a message about what is wrong, as printf does; returns it. */
const char *option_wrong(OptionReader *reader, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Formats the message about an option that `command` does not have; the one of its `n` names that
   was probably meant is in it. */
const char *option_unknown(OptionReader *reader, const char *command, const char *option,
                           const char *const *names, size_t n);

/* Is `arg` this option, with or without a value (--port, --port=1)? */
bool option_is(const char *arg, const char *name);

/* The value of the option at list[*i]: the text after its "=", or the next of the `n` arguments.
   NULL if there is none. */
const char *option_value(char **list, int n, int *i);

/* An option that takes a value, and what takes it: NULL, or what is wrong with the value. */
typedef struct ValueOption {
  const char *name;
  const char *(*set)(OptionReader *reader, const char *v);
} ValueOption;

/* The one of `n` options that `arg` is, with or without the value. NULL: it is none of them. */
const ValueOption *option_find(const ValueOption *list, size_t n, const char *arg);

/* Reads the time `v` of option `name`, in units of `unit` seconds, into *value. Returns NULL or
   what is wrong. */
const char *option_read_time(OptionReader *reader, const char *name, const char *v, double unit,
                             double *value);

/* Reads --log-level or --log-format, which several commands have. */
bool option_is_log(const char *arg);
const char *option_read_log(OptionReader *reader, char **list, int n, int *i);

/* The values of both. */
const char *option_set_log_level(OptionReader *reader, const char *v);
const char *option_set_log_format(OptionReader *reader, const char *v);

/* The values of --block-limit and of --cpu-limit. */
const char *option_set_block_limit(OptionReader *reader, const char *v);
const char *option_set_cpu_limit(OptionReader *reader, const char *v);

/* The values of --metrics, --user, --group, --sandbox-read and --sandbox-write. */
const char *option_set_metrics(OptionReader *reader, const char *v);
const char *option_set_user(OptionReader *reader, const char *v);
const char *option_set_group(OptionReader *reader, const char *v);
const char *option_add_readable(OptionReader *reader, const char *v);
const char *option_add_writable(OptionReader *reader, const char *v);

/* The options with values that serve and work have, in a list of ValueOptions. */
#define OPTION_SERVING                                                                             \
  {"--block-limit", option_set_block_limit}, {"--cpu-limit", option_set_cpu_limit},                \
      {"--log-level", option_set_log_level}, {"--log-format", option_set_log_format},              \
      {"--metrics", option_set_metrics}, {"--user", option_set_user},                              \
      {"--group", option_set_group}, {"--sandbox-read", option_add_readable}, {                    \
    "--sandbox-write", option_add_writable                                                         \
  }

/* Those without, of which --inspect may have one. */
#define OPTION_SERVING_FLAGS "--sandbox", "--inspect", "--core-files"

/* Reads one of these flags. False: `arg` is none of them. *wrong: NULL, or what is wrong. */
bool option_read_serving_flag(OptionReader *reader, const char *arg, const char **wrong);

/* Adds `v` to a list of the request, of *n texts. NULL, or that memory is out. */
const char *option_add_text(OptionReader *reader, const char ***list, int *n, const char *v);

/* The same for these two and --block-limit. */
#define OPTION_SHARED_NAMES "--block-limit", "--log-level", "--log-format"
bool option_is_shared(const char *arg);
const char *option_read_shared(OptionReader *reader, char **list, int n, int *i);

#endif
