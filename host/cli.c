#include "cli.h"

#include "curl_library.h"
#include "inspector_ask.h"
#include "script.h"
#include "supervised.h"
#include "supervisor.h"

#include <limits.h>
#include <llhttp.h>
#include <lua.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#define DEFAULT_BLOCK_LIMIT 0.1 /* seconds */
#define DEFAULT_CPU_LIMIT 30.0
/* Beyond its drain limit a worker has clean-ups of cancelled tasks to wait for, twice up to five
   seconds. */
#define DEFAULT_KILL_AFTER 15.0

static const char usage_to_serve[] =
    "Usage:\n"
    "  moonloop run SCRIPT [ARGS]     run a Lua script (also: moonloop SCRIPT; - is standard "
    "input)\n"
    "  moonloop -e CODE [ARGS]        run a piece of code\n"
    "  moonloop serve APP.lua         serve the web app that the file returns\n"
    "      --host ADDRESS             address to listen on (127.0.0.1)\n"
    "      --port NUMBER              port to listen on (8000); 0: any free one\n"
    "      --workers NUMBER           processes that serve, beside one that looks after them; "
    "auto:\n"
    "                                 one a core\n"
    "      --reload                   new ones when files of the code change (1 if no --workers)\n"
    "      --kill-after SECONDS       a worker that does not end is killed so long after its drain "
    "limit (15)\n"
    "      --access-log FORMAT        a line for each response on standard output: common or json\n"
    "      --cpu-limit SECONDS        CPU time after which a task that does not suspend is broken\n"
    "                                 off (30); 0: never\n";

static const char usage_of_the_rest[] =
    "  moonloop repl                  live prompt (also: bare moonloop on a terminal)\n"
    "  moonloop test [PATH...]        run busted specs in the loop (default: spec);\n"
    "      --virtual-clock            sleeps take no time: the clock jumps to the next timer\n"
    "      --shuffle[=SEED]           random order of specs and of ready tasks, to expose races\n"
    "                                 busted's own options work too, see moonloop test --help\n"
    "  moonloop ps PID                what the tasks of a running moonloop of yours do\n"
    "      --traceback                with the place where each is\n"
    "  run, serve and repl:\n"
    "      --block-limit MS           report a task that holds up the loop for longer (100);\n"
    "                                 0: never\n"
    "  moonloop --version             versions of moonloop and its libraries\n"
    "  moonloop --help                this text\n"
    "\n"
    "Exit status: 0, or what os.exit was given; 1 after an error of the script, of a spec, or of "
    "an\n"
    "input that repl has read from a pipe; 2 for wrong usage; 130 after SIGINT and 143 after "
    "SIGTERM\n"
    "(serve stops in order then, and exits with 0).\n";

static const char *wrong(char *message, int size, const char *format, const char *what) {
  snprintf(message, (size_t)size, format, what);
  return message;
}

/* Splits "--name=value", or takes the next argument. NULL when there is none. */
static const char *option_value(int argc, char **argv, int *i, size_t name_length) {
  const char *option = argv[*i];
  if (option[name_length] == '=') return option + name_length + 1;
  if (*i + 1 >= argc) return NULL;
  return argv[++*i];
}

static bool is_option(const char *arg, const char *name) {
  size_t n = strlen(name);
  return strncmp(arg, name, n) == 0 && (arg[n] == 0 || arg[n] == '=');
}

/* Reads the time `v` of option `name` into *value, times `unit`. NULL, or what is wrong. */
static const char *read_time(const char *name, const char *v, double unit, double *value,
                             char *message, int size) {
  char *end;
  *value = strtod(v, &end) * unit;
  if (!*end && *value >= 0 && *value <= 1e9) return NULL;
  snprintf(message, (size_t)size, "%s must be a number of %s, not '%s'", name,
           unit < 1 ? "milliseconds" : "seconds", v);
  return message;
}

static const char block_option[] = "--block-limit";

/* Reads --block-limit, which several commands have. NULL, or what is wrong. */
static const char *parse_block_limit(int argc, char **argv, int *i, CliRequest *r, char *message,
                                     int size) {
  const char *v = option_value(argc, argv, i, strlen(block_option));
  if (!v || !*v) return wrong(message, size, "%s needs a value", block_option);
  return read_time(block_option, v, 1e-3, &r->block_limit, message, size);
}

/* --- serve --- */

static const char *set_host(CliRequest *r, const char *v, char *message, int size) {
  (void)message;
  (void)size;
  r->host = v;
  return NULL;
}

static const char *set_port(CliRequest *r, const char *v, char *message, int size) {
  char *end;
  long port = strtol(v, &end, 10);
  if (*end || port < 0 || port > 65535)
    return wrong(message, size, "serve: --port must be a number from 0 to 65535, not '%s'", v);
  r->port = (int)port;
  return NULL;
}

static const char *set_workers(CliRequest *r, const char *v, char *message, int size) {
  char *end;
  long n = strtol(v, &end, 10);
  if (strcmp(v, "auto") == 0) {
    n = uv_available_parallelism();
    if (n > WORKERS_MAX) n = WORKERS_MAX;
  } else if (*end || n < 1 || n > WORKERS_MAX) {
    snprintf(message, (size_t)size,
             "serve: --workers must be auto or a number from 1 to %d, not '%s'", WORKERS_MAX, v);
    return message;
  }
  r->workers = (int)n;
  return NULL;
}

static const char *set_block_limit(CliRequest *r, const char *v, char *message, int size) {
  return read_time(block_option, v, 1e-3, &r->block_limit, message, size);
}

static const char *set_cpu_limit(CliRequest *r, const char *v, char *message, int size) {
  return read_time("--cpu-limit", v, 1, &r->cpu_limit, message, size);
}

static const char *set_kill_after(CliRequest *r, const char *v, char *message, int size) {
  return read_time("--kill-after", v, 1, &r->kill_after, message, size);
}

static const char *set_access_log(CliRequest *r, const char *v, char *message, int size) {
  if (strcmp(v, "common") != 0 && strcmp(v, "json") != 0)
    return wrong(message, size, "serve: --access-log must be common or json, not '%s'", v);
  r->access_log = v;
  return NULL;
}

/* The options of serve that are no limits of the server. Each function takes a value that is not
   empty, and returns NULL or what is wrong. */
static const struct {
  const char *name;
  const char *(*set)(CliRequest *r, const char *v, char *message, int size);
} serve_options[] = {
    {"--host", set_host},
    {"--port", set_port},
    {"--workers", set_workers},
    {"--block-limit", set_block_limit},
    {"--cpu-limit", set_cpu_limit},
    {"--access-log", set_access_log},
    {"--kill-after", set_kill_after},
};

static const char *set_limit(CliRequest *r, const HttpLimit *limit, const char *option,
                             const char *v, char *message, int size) {
  HttpLimits scratch;
  char *end, expected[120];
  double value = strtod(v, &end);
  if (*end || !http_limits_set(&scratch, limit, value)) {
    http_limits_describe(limit, expected, sizeof expected);
    snprintf(message, (size_t)size, "serve: %.*s must be %s, not '%s'", (int)strcspn(option, "="),
             option, expected, v);
    return message;
  }
  r->limits[limit - http_limits] = value;
  r->is_limited[limit - http_limits] = true;
  return NULL;
}

/* The option at argv[*i], with its value. NULL, or what is wrong. */
static const char *parse_serve_option(int argc, char **argv, int *i, CliRequest *r, char *message,
                                      int size) {
  const char *a = argv[*i];
  size_t n = strcspn(a, "=");
  bool may_be_limit = n > 2 && a[1] == '-' && !memchr(a, '_', n);
  const HttpLimit *limit = may_be_limit ? http_limits_find(a + 2, n - 2) : NULL;
  size_t at = 0, count = sizeof serve_options / sizeof *serve_options;
  while (at < count && !is_option(a, serve_options[at].name)) at++;
  if (!limit && at == count) return wrong(message, size, "serve: unknown option '%s'", a);
  const char *v = option_value(argc, argv, i, n);
  if (!v || !*v) {
    snprintf(message, (size_t)size, "serve: %.*s needs a value", (int)n, a);
    return message;
  }
  return limit ? set_limit(r, limit, a, v, message, size)
               : serve_options[at].set(r, v, message, size);
}

static const char *parse_serve(int argc, char **argv, CliRequest *r, char *message, int size) {
  r->command = CLI_SERVE;
  r->host = "127.0.0.1";
  r->port = 8000;
  r->cpu_limit = DEFAULT_CPU_LIMIT;
  r->kill_after = DEFAULT_KILL_AFTER;
  for (int i = 2; i < argc; i++) {
    const char *a = argv[i];
    if (strcmp(a, "--help") == 0 || strcmp(a, "-h") == 0) {
      r->command = CLI_HELP;
      return NULL;
    }
    if (strcmp(a, "--reload") == 0) {
      r->reload = true;
    } else if (a[0] == '-') {
      const char *bad = parse_serve_option(argc, argv, &i, r, message, size);
      if (bad) return bad;
    } else if (r->target) {
      return wrong(message, size, "serve: one app file, please; '%s' is too many", a);
    } else {
      r->target = a;
      r->first = i;
    }
  }
  return r->target ? NULL : wrong(message, size, "%s: the app file is missing", "serve");
}

static const char *parse_ps(int argc, char **argv, CliRequest *r, char *message, int size) {
  r->command = CLI_PS;
  for (int i = 2; i < argc; i++) {
    const char *a = argv[i];
    char *end;
    if (strcmp(a, "--help") == 0 || strcmp(a, "-h") == 0) {
      r->command = CLI_HELP;
      return NULL;
    }
    if (strcmp(a, "--traceback") == 0) {
      r->tracebacks = true;
    } else if (a[0] == '-' && a[1]) {
      return wrong(message, size, "ps: unknown option '%s'", a);
    } else if (r->pid) {
      return wrong(message, size, "ps: one process, please; '%s' is too many", a);
    } else {
      r->pid = strtol(a, &end, 10);
      if (*end || r->pid < 1 || r->pid > INT_MAX)
        return wrong(message, size, "ps: '%s' is not the number of a process", a);
    }
  }
  return r->pid ? NULL : wrong(message, size, "%s: the number of the process is missing", "ps");
}

static void take_rest(int argc, char **argv, int from, CliRequest *r) {
  if (from > argc) from = argc;
  r->args = argv + from;
  r->nargs = argc - from;
}

/* Reads argv. `terminal`: standard input is a terminal, so that no arguments at all mean the
   prompt. Returns NULL, or a message (in `message`, of `size` bytes) saying what is wrong. */
static const char *parse_arguments(int argc, char **argv, bool terminal, CliRequest *r,
                                   char *message, int size) {
  *r = (CliRequest){.command = CLI_RUN, .block_limit = DEFAULT_BLOCK_LIMIT};
  if (argc < 2) {
    r->command = terminal ? CLI_REPL : CLI_RUN;
    r->target = "-";
    take_rest(argc, argv, 1, r);
    return NULL;
  }
  const char *a = argv[1];
  if (strcmp(a, "--version") == 0 || strcmp(a, "-v") == 0) {
    r->command = CLI_VERSION;
  } else if (strcmp(a, "--help") == 0 || strcmp(a, "-h") == 0 || strcmp(a, "help") == 0) {
    r->command = CLI_HELP;
  } else if (strcmp(a, "serve") == 0) {
    return parse_serve(argc, argv, r, message, size);
  } else if (strcmp(a, "test") == 0) {
    r->command = CLI_TEST;
    r->first = 1;
    take_rest(argc, argv, 2, r);
  } else if (strcmp(a, "repl") == 0) {
    if (argc > 2 && (strcmp(argv[2], "--help") == 0 || strcmp(argv[2], "-h") == 0)) {
      r->command = CLI_HELP;
      return NULL;
    }
    for (int i = 2; i < argc; i++) {
      if (!is_option(argv[i], block_option))
        return wrong(message, size, "repl: takes no arguments, not '%s'", argv[i]);
      const char *bad = parse_block_limit(argc, argv, &i, r, message, size);
      if (bad) return bad;
    }
    r->command = CLI_REPL;
    r->first = 1;
  } else if (strcmp(a, "-e") == 0) {
    if (argc < 3) return wrong(message, size, "%s: the code is missing", "-e");
    r->command = CLI_EVAL;
    r->target = argv[2];
    r->first = 1;
    take_rest(argc, argv, 3, r);
  } else if (strcmp(a, "ps") == 0) {
    return parse_ps(argc, argv, r, message, size);
  } else if (strcmp(a, "run") == 0) {
    if (argc < 3) return wrong(message, size, "%s: the script is missing", "run");
    if (strcmp(argv[2], "--help") == 0 || strcmp(argv[2], "-h") == 0) {
      r->command = CLI_HELP;
      return NULL;
    }
    int at = 2;
    for (; at < argc && argv[at][0] == '-' && argv[at][1]; at++) {
      if (!is_option(argv[at], block_option))
        return wrong(message, size, "run: unknown option '%s'", argv[at]);
      const char *bad = parse_block_limit(argc, argv, &at, r, message, size);
      if (bad) return bad;
    }
    if (at >= argc) return wrong(message, size, "%s: the script is missing", "run");
    r->target = argv[at];
    r->first = at;
    take_rest(argc, argv, at + 1, r);
  } else if (a[0] == '-' && a[1]) {
    return wrong(message, size, "unknown option '%s'", a);
  } else {
    r->target = a;
    r->first = 1;
    take_rest(argc, argv, 2, r);
  }
  return NULL;
}

/* The usage, with a line for each limit of the server. */
static void print_usage(void) {
  fputs(usage_to_serve, stdout);
  for (int i = 0; i < HTTP_LIMITS; i++) {
    const HttpLimit *limit = &http_limits[i];
    char option[32];
    size_t n = 0;
    for (; limit->name[n]; n++) option[n] = limit->name[n] == '_' ? '-' : limit->name[n];
    printf("      --%-24.*s %s (%.15g %s)\n", (int)n, option, limit->help, limit->fallback,
           limit->unit);
  }
  fputs(usage_of_the_rest, stdout);
}

static void print_version(void) {
  const char *why;
  const CurlLibrary *curl = curl_library(&why);
  printf("moonloop %s\n%s, libuv %s, libcurl %s, llhttp %d.%d.%d\n", ML_VERSION, LUA_RELEASE,
         uv_version_string(), curl ? curl->version_info(CURLVERSION_NOW)->version : "(missing)",
         LLHTTP_VERSION_MAJOR, LLHTTP_VERSION_MINOR, LLHTTP_VERSION_PATCH);
}

/* glibc gives back what is free at the end of the heap from 128 kB on, and has it back with pages
   to be cleared: the garbage of one upload makes it do that a dozen times. Freeing a block that was
   mapped raises that to twice its size (mallopt(3), M_MMAP_THRESHOLD), and leaves glibc free to
   raise it further, as mallopt would not. */
static void keep_some_memory(void) {
  enum { BLOCK = 1000 * 1000 };
  void *volatile block = malloc(BLOCK);
  free(block);
}

int cli_main(int argc, char **argv) {
  keep_some_memory();
  CliRequest request;
  char message[512];
  const char *bad =
      parse_arguments(argc, argv, isatty(STDIN_FILENO), &request, message, sizeof message);
  if (bad) {
    fprintf(stderr, "moonloop: %s\nTry 'moonloop --help'.\n", bad);
    return 2;
  }
  switch (request.command) {
  case CLI_HELP:
    print_usage();
    return 0;
  case CLI_PS:
    return inspector_ask(request.pid, request.tracebacks);
  case CLI_VERSION:
    print_version();
    return 0;
  case CLI_SERVE:
    if ((request.workers || request.reload) && !supervised_is_wanted())
      return supervisor_main(&request, argv);
    return script_main(&request, argc, argv);
  default:
    return script_main(&request, argc, argv);
  }
}
