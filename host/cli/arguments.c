#include "cli/arguments.h"

#include "base/archive.h"
#include "base/nearest.h"
#include "cli/build_arguments.h"
#include "cli/database_arguments.h"
#include "cli/defaults.h"
#include "cli/serve_arguments.h"
#include "cli/work_arguments.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const command_names[CLI_COMMANDS] = {
    [CLI_JOBS] = "jobs",   [CLI_WORK] = "work",       [CLI_RUN] = "run",
    [CLI_SERVE] = "serve", [CLI_DEV] = "dev",         [CLI_REPL] = "repl",
    [CLI_TEST] = "test",   [CLI_PS] = "ps",           [CLI_MIGRATE] = "migrate",
    [CLI_DB] = "db",       [CLI_OPENAPI] = "openapi", [CLI_TYPES] = "types",
    [CLI_NEW] = "new",     [CLI_BUILD] = "build"};

const char *arguments_command_name(CliCommand command) { return command_names[command]; }

CliCommand arguments_find_command(const char *name) {
  for (int i = 0; i < CLI_COMMANDS; i++)
    if (command_names[i] && strcmp(command_names[i], name) == 0) return (CliCommand)i;
  return CLI_HELP;
}

static const char *const write_option = "--write", *const template_option = "--template",
                         *const traceback_option = "--traceback";
static const char *const run_options[] = {OPTION_SHARED_NAMES};
enum { RUN_OPTIONS = sizeof run_options / sizeof *run_options };

static bool is_word(const char *arg) { return arg[0] != '-' || !arg[1]; }

static bool is_help(const char *arg) { return !strcmp(arg, "--help") || !strcmp(arg, "-h"); }

/* Asks for the command's help. */
static const char *ask_for_help(OptionReader *a, CliCommand about) {
  a->request->command = CLI_HELP;
  a->request->about = about;
  return NULL;
}

/* The app of a command: the one that is inside of the program, if there is one. NULL, or what is
   wrong. */
static const char *find_app(OptionReader *a, const char *command) {
  CliRequest *r = a->request;
  if (archive_main() && r->target)
    return option_wrong(a, "%s: the app is inside of this program: '%s' is too much", command,
                        r->target);
  if (!r->target) r->target = archive_main();
  return r->target ? NULL : option_wrong(a, "%s: the app file is missing", command);
}

/* --- the commands: each reads its `n` arguments --- */

static const char *read_serve(OptionReader *a, char **list, int n) {
  CliRequest *r = a->request;
  if (!serve_arguments_default(r)) return option_wrong(a, "not enough memory");
  for (int i = 0; i < n; i++) {
    const char *bad;
    if (is_help(list[i])) return ask_for_help(a, CLI_SERVE);
    if (option_read_serving_flag(a, list[i], &bad)) {
      if (bad) return bad;
    } else if (strcmp(list[i], "--reload") == 0) {
      r->reload = true;
    } else if (strcmp(list[i], "--docs") == 0) {
      r->docs = true;
    } else if (strcmp(list[i], "--proxy-protocol") == 0) {
      r->proxy_protocol = true;
    } else if (list[i][0] == '-') {
      bad = serve_arguments_read(a, list, n, &i);
      if (bad) return bad;
    } else if (r->target) {
      return option_wrong(a, "serve: only one app file is allowed, not also '%s'", list[i]);
    } else {
      r->target = list[i];
    }
  }
  const char *wrong = find_app(a, "serve");
  if (wrong) return wrong;
  if (r->reload && archive_main())
    return option_wrong(a, "serve: --reload: the code is inside of this program, and stays");
  return serve_arguments_check(a);
}

/* Messages about its options are those of serve, with its own name. */
static const char *read_dev(OptionReader *a, char **list, int n) {
  static const char other[] = "serve: ", own[] = "dev: ";
  CliRequest *r = a->request;
  const char *bad = read_serve(a, list, n);
  if (r->command == CLI_HELP) return ask_for_help(a, CLI_DEV);
  if (archive_main()) return option_wrong(a, "dev: the code is inside of this program, and stays");
  r->dev = r->reload = r->docs = true;
  r->command = CLI_SERVE;
  if (!bad && !r->where.inspects) option_read_serving_flag(a, "--inspect", &bad);
  if (!bad || bad != a->message || strncmp(bad, other, sizeof other - 1) != 0) return bad;
  memmove(a->message + sizeof own - 1, a->message + sizeof other - 1,
          strlen(a->message + sizeof other - 1) + 1);
  memcpy(a->message, own, sizeof own - 1);
  return bad;
}

static const char *read_ps(OptionReader *a, char **list, int n) {
  CliRequest *r = a->request;
  for (int i = 0; i < n; i++) {
    char *end;
    if (is_help(list[i])) return ask_for_help(a, CLI_PS);
    if (strcmp(list[i], traceback_option) == 0) {
      r->tracebacks = true;
    } else if (!is_word(list[i])) {
      return option_unknown(a, "ps", list[i], &traceback_option, 1);
    } else if (r->pid) {
      return option_wrong(a, "ps: only one process is allowed, not also '%s'", list[i]);
    } else {
      r->pid = strtol(list[i], &end, 10);
      if (*end || r->pid < 1 || r->pid > INT_MAX)
        return option_wrong(a, "ps: '%s' is not the number of a process", list[i]);
    }
  }
  return r->pid ? NULL : option_wrong(a, "ps: the number of the process is missing");
}

static const char *read_repl(OptionReader *a, char **list, int n) {
  for (int i = 0; i < n; i++) {
    if (is_help(list[i])) return ask_for_help(a, CLI_REPL);
    if (!option_is_shared(list[i]))
      return option_wrong(a, "repl: takes no arguments, not '%s'", list[i]);
    const char *bad = option_read_shared(a, list, n, &i);
    if (bad) return bad;
  }
  return NULL;
}

/* The other arguments are read by moonloop.test and busted. */
static const char *read_test(OptionReader *a, char **list, int n) {
  CliRequest *r = a->request;
  r->args = list;
  for (int i = 0; i < n; i++) {
    const char *bad = NULL;
    if (option_is_log(list[i]))
      bad = option_read_log(a, list, n, &i);
    else
      list[r->nargs++] = list[i];
    if (bad) return bad;
  }
  return NULL;
}

static const char *read_database(OptionReader *a, CliCommand command, char **list, int n) {
  for (int i = 0; i < n; i++)
    if (is_help(list[i])) return ask_for_help(a, command);
  return database_arguments_read(a, command, list, n);
}

static const char *read_migrate(OptionReader *a, char **list, int n) {
  return read_database(a, CLI_MIGRATE, list, n);
}

static const char *read_db(OptionReader *a, char **list, int n) {
  return read_database(a, CLI_DB, list, n);
}

static const char *read_jobs(OptionReader *a, char **list, int n) {
  return read_database(a, CLI_JOBS, list, n);
}

static const char *read_work(OptionReader *a, char **list, int n) {
  for (int i = 0; i < n; i++)
    if (is_help(list[i])) return ask_for_help(a, CLI_WORK);
  const char *bad = work_arguments_read(a, list, n);
  return bad ? bad : find_app(a, "work");
}

/* A command about an app, which has no options. */
static const char *read_app(OptionReader *a, CliCommand command, char **list, int n) {
  CliRequest *r = a->request;
  const char *name = command_names[command];
  r->block_limit = 0; /* nobody else is there who would have to wait */
  for (int i = 0; i < n; i++) {
    if (is_help(list[i])) return ask_for_help(a, command);
    if (!is_word(list[i])) return option_unknown(a, name, list[i], NULL, 0);
    if (r->target)
      return option_wrong(a, "%s: only one app file is allowed, not also '%s'", name, list[i]);
    r->target = list[i];
  }
  return find_app(a, name);
}

static const char *read_build(OptionReader *a, char **list, int n) {
  for (int i = 0; i < n; i++)
    if (is_help(list[i])) return ask_for_help(a, CLI_BUILD);
  if (archive_main())
    return option_wrong(a, "build: this program has an app inside: moonloop builds others");
  return build_arguments_read(a, list, n);
}

static const char *read_openapi(OptionReader *a, char **list, int n) {
  return read_app(a, CLI_OPENAPI, list, n);
}

/* An app, or --write FOLDER. */
static const char *read_types(OptionReader *a, char **list, int n) {
  CliRequest *r = a->request;
  for (int i = 0; i < n; i++) {
    if (!option_is(list[i], write_option)) continue;
    const char *v = option_value(list, n, &i);
    if (!v || !*v) return option_wrong(a, "types: %s needs a folder", write_option);
    if (n > 2 || i + 1 < n) return option_wrong(a, "types: %s takes a folder alone", write_option);
    r->types_to = v;
    return NULL;
  }
  return read_app(a, CLI_TYPES, list, n);
}

static const char *read_new(OptionReader *a, char **list, int n) {
  CliRequest *r = a->request;
  r->block_limit = 0;
  for (int i = 0; i < n; i++) {
    if (is_help(list[i])) return ask_for_help(a, CLI_NEW);
    if (option_is(list[i], template_option)) {
      const char *v = option_value(list, n, &i);
      if (!v || !*v) return option_wrong(a, "new: %s needs a value", template_option);
      r->template = v;
    } else if (!is_word(list[i])) {
      return option_unknown(a, "new", list[i], &template_option, 1);
    } else if (r->target) {
      return option_wrong(a, "new: only one name is allowed, not also '%s'", list[i]);
    } else {
      r->target = list[i];
    }
  }
  return r->target ? NULL : option_wrong(a, "new: the name of the project is missing");
}

static const char *(*const readers[CLI_COMMANDS])(OptionReader *a, char **list, int n) = {
    [CLI_JOBS] = read_jobs,       [CLI_WORK] = read_work,       [CLI_SERVE] = read_serve,
    [CLI_DEV] = read_dev,         [CLI_REPL] = read_repl,       [CLI_TEST] = read_test,
    [CLI_PS] = read_ps,           [CLI_MIGRATE] = read_migrate, [CLI_DB] = read_db,
    [CLI_OPENAPI] = read_openapi, [CLI_TYPES] = read_types,     [CLI_NEW] = read_new,
    [CLI_BUILD] = read_build};

/* --- what comes before the command or the script --- */

/* The progress of reading. */
typedef struct Reading {
  int at;        /* the next argument */
  char **before; /* options of the command that come before it */
  int n_before;
  bool is_run;    /* the word "run" was read */
  bool is_script; /* -- was read: the next word is the script, whatever its name */
} Reading;

/* -e and -l, whose text follows directly or is the next argument, as with lua. */
static const char *read_step(OptionReader *a, Reading *reading) {
  const char *option = a->argv[reading->at], *text = option + 2;
  if (!*text) {
    const char *next = reading->at + 1 < a->argc ? a->argv[reading->at + 1] : NULL;
    if (!next || !is_word(next))
      return option_wrong(a, "%s: the %s is missing", option,
                          option[1] == 'e' ? "code" : "name of a module");
    text = next;
    reading->at++;
  }
  a->request->steps[a->request->n_steps++] = (CliStep){option[1], text};
  return NULL;
}

/* An option of one letter, as in lua. */
static const char *read_letter(OptionReader *a, Reading *reading) {
  CliRequest *r = a->request;
  const char *option = a->argv[reading->at];
  bool *flag = option[1] == 'i'   ? &r->interactive
               : option[1] == 'v' ? &r->shows_version
               : option[1] == 'E' ? &r->no_environment
               : option[1] == 'W' ? &r->warnings
                                  : NULL;
  if (option[1] == 'e' || option[1] == 'l') return read_step(a, reading);
  if (!flag || option[2])
    return option_wrong(a, "%sunknown option '%s'", reading->is_run ? "run: " : "", option);
  *flag = true;
  return NULL;
}

/* A long option: it belongs to the command that follows. */
static const char *keep_for_command(OptionReader *a, Reading *reading) {
  static const char *const flags[] = {OPTION_SERVING_FLAGS, "--reload",  "--traceback",
                                      "--virtual-clock",    "--shuffle", "--docs",
                                      "--proxy-protocol"};
  char *option = a->argv[reading->at];
  size_t n = strcspn(option, "=");
  bool is_flag = false, has_value = serve_arguments_has(option) || database_arguments_has(option) ||
                                    work_arguments_has(option) || option_is(option, write_option) ||
                                    option_is(option, template_option) ||
                                    build_arguments_has(option);
  for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
    is_flag |= strlen(flags[i]) == n && strncmp(flags[i], option, n) == 0;
  if (!is_flag && !has_value) return option_wrong(a, "unknown option '%s'", option);
  reading->before[reading->n_before++] = option;
  if (has_value && !option[n] && reading->at + 1 < a->argc)
    reading->before[reading->n_before++] = a->argv[++reading->at];
  return NULL;
}

static const char *read_long(OptionReader *a, Reading *reading) {
  const char *option = a->argv[reading->at];
  if (!reading->is_run) return keep_for_command(a, reading);
  if (!option_is_shared(option)) return option_unknown(a, "run", option, run_options, RUN_OPTIONS);
  return option_read_shared(a, a->argv, a->argc, &reading->at);
}

/* The options that came before `run`, or before a script. */
static const char *read_before_run(OptionReader *a, Reading *reading) {
  for (int i = 0; i < reading->n_before; i++) {
    if (!option_is_shared(reading->before[i]))
      return option_unknown(a, "run", reading->before[i], run_options, RUN_OPTIONS);
    const char *bad = option_read_shared(a, reading->before, reading->n_before, &i);
    if (bad) return bad;
  }
  return NULL;
}

static int index_of(const OptionReader *a, const char *arg) {
  int i = 0;
  while (i < a->argc && a->argv[i] != arg) i++;
  return i;
}

/* The word at `reading->at` is a command. */
static const char *read_command(OptionReader *a, Reading *reading, CliCommand command) {
  CliRequest *r = a->request;
  r->command = r->about = command;
  r->first = reading->at;
  for (int i = reading->at + 1; i < a->argc; i++) reading->before[reading->n_before++] = a->argv[i];
  const char *bad = readers[command](a, reading->before, reading->n_before);
  if (!bad && r->target) r->first = index_of(a, r->target);
  return bad;
}

/* A word that is not a file may have been meant as a command. */
static const char *check_script(OptionReader *a, const char *word) {
  const char *names[CLI_COMMANDS];
  size_t n = 0;
  if (archive_main()) return NULL; /* it is an argument of the script inside */
  for (int i = 0; i < CLI_COMMANDS; i++)
    if (command_names[i]) names[n++] = command_names[i];
  const char *near = nearest_name(word, names, n);
  bool may_be_command = near || (strcmp(word, "-") != 0 && !strpbrk(word, "./"));
  if (!may_be_command || access(word, F_OK) == 0) return NULL;
  a->request->about = CLI_HELP;
  if (!near) return option_wrong(a, "'%s' is neither a command nor a file", word);
  return option_wrong(a, "'%s' is neither a command nor a file (did you mean 'moonloop %s'?)", word,
                      near);
}

/* The script is inside of the program: all words are its arguments. */
static void take_inside(OptionReader *a, const Reading *reading) {
  a->request->target = archive_main();
  a->request->first = reading->at;
  a->request->args = a->argv + reading->at;
  a->request->nargs = a->argc - reading->at;
}

/* No command: the script is the word at `reading->at`, if there is one. */
static const char *read_script(OptionReader *a, Reading *reading, bool terminal) {
  CliRequest *r = a->request;
  bool has_code = false;
  for (int i = 0; i < r->n_steps; i++) has_code |= r->steps[i].option == 'e';
  r->command = r->about = CLI_RUN;
  const char *bad = read_before_run(a, reading);
  if (bad) return bad;
  r->args = a->argv + 1; /* as in lua: all arguments, if there is no script */
  r->nargs = a->argc - 1;
  bool is_asked = r->n_steps || r->interactive || r->shows_version; /* for something else */
  if (archive_main() && (reading->at < a->argc || reading->is_run || !is_asked)) {
    take_inside(a, reading);
  } else if (reading->at < a->argc) {
    const char *word = a->argv[reading->at];
    bad = reading->is_run || reading->is_script ? NULL : check_script(a, word);
    if (bad) return bad;
    r->target = word;
    r->first = reading->at;
    r->args = a->argv + reading->at + 1;
    r->nargs = a->argc - reading->at - 1;
  } else if (reading->is_run && !r->n_steps && !r->interactive) {
    return option_wrong(a, "run: the script is missing");
  } else if (r->shows_version && !r->n_steps && !r->interactive) {
    r->command = CLI_VERSION;
  } else if (!has_code && (r->interactive || (terminal && !r->shows_version))) {
    r->command = CLI_REPL;
    r->interactive = false;
  } else if (!has_code && !r->shows_version) {
    r->target = "-";
  }
  return NULL;
}

static const char *read_all(OptionReader *a, Reading *reading, bool terminal) {
  const char *bad = NULL;
  for (; reading->at < a->argc && !reading->is_script && !bad; reading->at++) {
    const char *arg = a->argv[reading->at];
    const char *next = reading->at + 1 < a->argc ? a->argv[reading->at + 1] : "";
    CliCommand command = arguments_find_command(arg);
    if (is_help(arg) || (strcmp(arg, "help") == 0 && !reading->is_run)) {
      return ask_for_help(a, reading->is_run ? CLI_RUN : arguments_find_command(next));
    } else if (strcmp(arg, "--version") == 0) {
      a->request->command = CLI_VERSION;
      return NULL;
    } else if (strcmp(arg, "--") == 0) {
      reading->is_script = true;
    } else if (is_word(arg)) {
      if (reading->is_run || command == CLI_HELP) break;
      if (command != CLI_RUN) return read_command(a, reading, command);
      reading->is_run = true;
      a->request->about = CLI_RUN;
    } else {
      bad = arg[1] == '-' ? read_long(a, reading) : read_letter(a, reading);
    }
  }
  return bad ? bad : read_script(a, reading, terminal);
}

const char *arguments_read(OptionReader *a, bool terminal) {
  CliRequest *r = a->request;
  *r = (CliRequest){
      .block_limit = DEFAULTS_BLOCK_LIMIT_MS / 1e3, .about = CLI_HELP, .log = LOG_SETTINGS_UNSET};
  size_t n = (size_t)a->argc + 1;
  r->steps = calloc(n, sizeof *r->steps);
  r->list = calloc(n, sizeof *r->list);
  if (!r->steps || !r->list) return option_wrong(a, "not enough memory");
  Reading reading = {.at = 1, .before = r->list};
  return read_all(a, &reading, terminal);
}

void arguments_free(CliRequest *request) {
  free(request->steps);
  free(request->list);
  free(request->where.list);
  free(request->included);
  free(request->left_out);
  free(request->tls_certs);
  free(request->tls_keys);
  free(request->readable);
  free(request->writable);
}
