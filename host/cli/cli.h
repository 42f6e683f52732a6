/* The command line: the request it makes, and carrying it out. */
#ifndef ML_CLI_H
#define ML_CLI_H

#include "http/http_limits.h"
#include "log/log_level.h"
#include "serve/serve_sockets.h"

#include <lua.h>

typedef enum CliCommand {
  CLI_RUN,     /* a script file, standard input, pieces of code */
  CLI_SERVE,   /* an app file */
  CLI_DEV,     /* the same, with CliRequest.dev: read as CLI_SERVE */
  CLI_REPL,    /* the prompt */
  CLI_TEST,    /* busted in the loop */
  CLI_PS,      /* ps PID */
  CLI_MIGRATE, /* migrate up, down, status, new, check */
  CLI_DB,      /* db copy, shell */
  CLI_JOBS,    /* jobs list, retry, cancel, stats */
  CLI_WORK,    /* work APP */
  CLI_OPENAPI, /* openapi APP */
  CLI_TYPES,   /* types APP */
  CLI_NEW,     /* new NAME */
  CLI_BUILD,   /* build APP -o FILE */
  CLI_VERSION, /* --version */
  CLI_HELP,    /* --help: CliRequest.about */
  CLI_COMMANDS
} CliCommand;

/* Code that runs before the script or the command: -e CODE or -l MODULE. */
typedef struct CliStep {
  char option; /* 'e' or 'l' */
  const char *text;
} CliStep;

/* What the arguments ask for. All strings point into argv; the request owns the lists. */
typedef struct CliRequest {
  CliCommand command, about;
  CliStep *steps;
  int n_steps;
  bool no_environment; /* -E */
  bool warnings;       /* -W */
  bool shows_version;  /* -v, with something else to do */
  bool interactive;    /* -i: run, and then the prompt */
  const char *target;  /* the script ("-": standard input), or the app file; or NULL */
  char **args;         /* the arguments after it, for the script or for busted */
  int nargs;
  char **list;         /* the arguments of the command, with options that came before it */
  int first;           /* index in argv of arg[0]; 0: there is no script */
  ServeWhere where;    /* to listen; the request owns the list */
  int workers;         /* processes that serve; 0: this one */
  bool reload;         /* start new ones when the code changes */
  bool dev;            /* for a person who writes the app */
  bool docs;           /* serve the OpenAPI document and its pages */
  bool proxy_protocol; /* each connection begins with a header of its proxy */
  const char **tls_certs, **tls_keys; /* the request owns the lists */
  int n_tls_certs, n_tls_keys;
  const char *trusted_proxies; /* a list with commas, or NULL */
  const char *root_path;       /* or NULL */
  const char *http2;           /* "true", "false", "clear" or NULL */
  const char *user, *group;    /* to go on as, or NULL */
  ListenAddress metrics;       /* where they are shown, if `shows_metrics` */
  bool shows_metrics;
  bool sandbox;                      /* limit what the app's processes may do */
  const char **readable, **writable; /* there, besides; the request owns the lists */
  int n_readable, n_writable;
  bool core_files;   /* may be made of it */
  double kill_after; /* seconds after its drain limit until a worker that does not end is killed */
  const char *access_log;       /* "common", "json" or NULL */
  LogSettings log;              /* what was given of them */
  double block_limit;           /* seconds; 0: stretches of any length are allowed */
  double cpu_limit;             /* CPU seconds; the same */
  double limits[HTTP_LIMITS];   /* limits of the server, in the units of http_limits */
  bool is_limited[HTTP_LIMITS]; /* those that were given */
  long pid;                     /* the process to look into */
  bool tracebacks;
  const char *output;                /* the file that build writes */
  const char **included, **left_out; /* paths and modules; the request owns the lists */
  int n_included, n_left_out;
  const char *verb;      /* what migrate, db or jobs is to do; its words are `args` */
  const char *template;  /* of new, or NULL */
  const char *types_to;  /* types --write: the folder, or NULL */
  const char *url, *dir; /* of the database, of the migrations; or NULL */
  const char *state, *name, *queue, *most; /* of the jobs that are listed; or NULL */
  const char *queues;                      /* to work for, or NULL */
  double drain;                            /* seconds that jobs get when work ends */
} CliRequest;

/* Does what argv asks for. `open` opens the modules of each Lua state that this makes. Returns the
   exit status: 2 for bad usage. */
int cli_main(int argc, char **argv, void (*open)(lua_State *L));

#endif
