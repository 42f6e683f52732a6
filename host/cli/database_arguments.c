#include "cli/database_arguments.h"

#include "base/nearest.h"
#include "cli/arguments.h"

#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a command can be told to do, with the number of words that follow. */
typedef struct Verb {
  CliCommand command;
  const char *name;
  int least, most;
  const char *words; /* what is expected, for people */
} Verb;

#define NO_MORE "no more words"

static const Verb verbs[] = {
    {CLI_MIGRATE, "up", 0, 0, NO_MORE},
    {CLI_MIGRATE, "down", 0, 1, "at most the number of migrations to undo"},
    {CLI_MIGRATE, "status", 0, 0, NO_MORE},
    {CLI_MIGRATE, "new", 1, 1, "the name of the new migration"},
    {CLI_MIGRATE, "check", 0, INT_MAX, ""},
    {CLI_DB, "copy", 2, 2, "FROM_URL and TO_URL"},
    {CLI_DB, "shell", 0, 0, NO_MORE},
    {CLI_JOBS, "list", 0, 0, NO_MORE},
    {CLI_JOBS, "retry", 1, INT_MAX, "the ids of jobs"},
    {CLI_JOBS, "cancel", 1, INT_MAX, "the ids of jobs"},
    {CLI_JOBS, "stats", 0, 0, NO_MORE},
};
enum { VERBS = sizeof verbs / sizeof *verbs };

/* An option, which has a value, and the verb that takes it; NULL: all of its command. */
typedef struct Option {
  const char *name;
  CliCommand command; /* CLI_HELP: of all of them */
  const char *verb;
  size_t place; /* of its value in the request */
} Option;

static const Option options[] = {
    {"--url", CLI_HELP, NULL, offsetof(CliRequest, url)},
    {"--dir", CLI_MIGRATE, NULL, offsetof(CliRequest, dir)},
    {"--state", CLI_JOBS, "list", offsetof(CliRequest, state)},
    {"--name", CLI_JOBS, "list", offsetof(CliRequest, name)},
    {"--queue", CLI_JOBS, "list", offsetof(CliRequest, queue)},
    {"--limit", CLI_JOBS, "list", offsetof(CliRequest, most)},
};
enum { OPTIONS = sizeof options / sizeof *options };

bool database_arguments_has(const char *arg) {
  for (int i = 0; i < OPTIONS; i++)
    if (option_is(arg, options[i].name)) return true;
  return false;
}

static bool is_of(const Option *option, CliCommand command) {
  return option->command == CLI_HELP || option->command == command;
}

static const Option *find_option(CliCommand command, const char *arg) {
  for (int i = 0; i < OPTIONS; i++)
    if (option_is(arg, options[i].name) && is_of(&options[i], command)) return &options[i];
  return NULL;
}

static const char *unknown_option(OptionReader *reader, CliCommand command, const char *option) {
  const char *names[OPTIONS];
  size_t n = 0;
  for (int i = 0; i < OPTIONS; i++)
    if (is_of(&options[i], command)) names[n++] = options[i].name;
  return option_unknown(reader, arguments_command_name(command), option, names, n);
}

static const Verb *find_verb(CliCommand command, const char *name) {
  for (int i = 0; i < VERBS; i++)
    if (verbs[i].command == command && strcmp(verbs[i].name, name) == 0) return &verbs[i];
  return NULL;
}

/* What to do is missing, or it is nothing that the command does. */
static const char *wrong_verb(OptionReader *reader, CliCommand command) {
  const char *given = reader->request->verb, *names[VERBS];
  const char *all = command == CLI_MIGRATE ? "up, down, status, new or check"
                    : command == CLI_DB    ? "copy or shell"
                                           : "list, retry, cancel or stats";
  size_t n = 0;
  if (!given)
    return option_wrong(reader, "%s: what to do is missing: %s", arguments_command_name(command),
                        all);
  for (int i = 0; i < VERBS; i++)
    if (verbs[i].command == command) names[n++] = verbs[i].name;
  const char *near = nearest_name(given, names, n);
  if (!near)
    return option_wrong(reader, "%s: %s expected, not '%s'", arguments_command_name(command), all,
                        given);
  return option_wrong(reader, "%s: %s expected, not '%s' (did you mean '%s'?)",
                      arguments_command_name(command), all, given, near);
}

/* Options that are not the verb's. */
static const char *check_options(OptionReader *reader, CliCommand command) {
  for (int i = 0; i < OPTIONS; i++) {
    const char *const *value =
        (const char *const *)((const char *)reader->request + options[i].place);
    if (*value && options[i].verb && strcmp(options[i].verb, reader->request->verb) != 0)
      return option_wrong(reader, "%s %s: %s is an option of %s", arguments_command_name(command),
                          reader->request->verb, options[i].name, options[i].verb);
  }
  return NULL;
}

static const char *check_words(OptionReader *reader, CliCommand command) {
  const CliRequest *r = reader->request;
  const Verb *verb = r->verb ? find_verb(command, r->verb) : NULL;
  if (!verb) return wrong_verb(reader, command);
  if (!verb->most && r->nargs && strchr(r->args[0], ':'))
    return option_wrong(reader, "%s %s: a URL is given by --url URL",
                        arguments_command_name(command), verb->name);
  if (r->nargs < verb->least || r->nargs > verb->most)
    return option_wrong(reader, "%s %s: %s expected (%d given)", arguments_command_name(command),
                        verb->name, verb->words, r->nargs);
  if (command == CLI_MIGRATE && strcmp(verb->name, "down") == 0 && r->nargs) {
    char *end;
    long count = strtol(r->args[0], &end, 10);
    if (*end || count < 1 || count > INT_MAX)
      return option_wrong(reader, "migrate down: a number from 1 expected, not '%s'", r->args[0]);
  }
  return check_options(reader, command);
}

const char *database_arguments_read(OptionReader *reader, CliCommand command, char **list, int n) {
  CliRequest *r = reader->request;
  r->block_limit = 0; /* nobody else is there who would have to wait */
  r->args = list;     /* words take the places of what has been read */
  for (int i = 0; i < n; i++) {
    const char *arg = list[i];
    if (arg[0] != '-' || !arg[1]) {
      if (!r->verb)
        r->verb = arg;
      else
        list[r->nargs++] = list[i];
    } else {
      const Option *option = find_option(command, arg);
      if (!option) return unknown_option(reader, command, arg);
      const char *v = option_value(list, n, &i);
      if (!v || !*v)
        return option_wrong(reader, "%s: %.*s needs a value", arguments_command_name(command),
                            (int)strcspn(arg, "="), arg);
      *(const char **)((char *)r + option->place) = v;
    }
  }
  return check_words(reader, command);
}
