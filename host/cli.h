/* The command line: what was asked for, and the way to it. */
#ifndef ML_CLI_H
#define ML_CLI_H

#include "http_limits.h"

typedef enum CliCommand {
  CLI_RUN,     /* a script file, or standard input */
  CLI_EVAL,    /* -e CODE */
  CLI_SERVE,   /* an app file */
  CLI_REPL,    /* the prompt */
  CLI_TEST,    /* busted in the loop */
  CLI_PS,      /* ps PID */
  CLI_VERSION, /* --version */
  CLI_HELP,    /* --help */
} CliCommand;

/* What the arguments ask for. All strings point into argv. */
typedef struct CliRequest {
  CliCommand command;
  const char *target; /* the script ("-": standard input), the code, or the app file */
  char **args;        /* what follows, for the script or for busted */
  int nargs;
  int first; /* index in argv of what becomes arg[0] */
  const char *host;
  int port;
  int workers;                  /* processes that serve; 0: this one */
  bool reload;                  /* new ones when the code changes */
  double kill_after;            /* seconds beyond its drain limit for one that does not end */
  const char *access_log;       /* "common", "json" or NULL */
  double block_limit;           /* seconds; 0: stretches of any length are fine */
  double cpu_limit;             /* CPU seconds; the same */
  double limits[HTTP_LIMITS];   /* of the server, in the units of http_limits */
  bool is_limited[HTTP_LIMITS]; /* those that were given */
  long pid;                     /* the process to look into */
  bool tracebacks;
} CliRequest;

/* Does what argv asks for. Returns the exit status: 2 for bad usage. */
int cli_main(int argc, char **argv);

#endif
