#include "cli/cli.h"

#include "base/archive.h"
#include "base/standard_descriptors.h"
#include "cli/arguments.h"
#include "cli/defaults.h"
#include "cli/help.h"
#include "cli/script.h"
#include "inspect/inspector_ask.h"
#include "log/log_output.h"
#include "serve/supervised.h"
#include "serve/supervisor.h"

#include <errno.h>
#include <llhttp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

static void print_version(void) {
  printf("moonloop %s\n%s, libuv %s, llhttp %d.%d.%d\n", ML_VERSION, LUA_RELEASE,
         uv_version_string(), LLHTTP_VERSION_MAJOR, LLHTTP_VERSION_MINOR, LLHTTP_VERSION_PATCH);
}

/* The longest drain limit that a worker is believed: the app's may be another than --drain only
   where that was not given. */
static double drain_of(const CliRequest *request) {
  ptrdiff_t drain = http_limits_find("drain", 5) - http_limits;
  return request->is_limited[drain] ? request->limits[drain] : DEFAULTS_LONGEST_DRAIN;
}

/* glibc returns free memory at the end of the heap to the system from 128 kB on, and gets it back
   as pages that must be cleared: the garbage of one upload causes that a dozen times. Freeing a
   mapped block raises the threshold to twice its size (mallopt(3), M_MMAP_THRESHOLD), and still
   lets glibc raise it further, which mallopt would not. */
static void keep_some_memory(void) {
  enum { BLOCK = 1000 * 1000 };
  void *volatile block = malloc(BLOCK);
  free(block);
}

/* What is wrong with MOONLOOP_LOG does not keep a server from starting. */
static void open_log(const CliRequest *request) {
  char text[200];
  log_output_choose(request->log);
  const char *wrong = log_output_wrong_setting();
  if (!wrong) return;
  snprintf(text, sizeof text,
           "MOONLOOP_LOG is '%.60s', not LEVEL[,FORMAT]: a level of " LOG_LEVEL_NAMES
           ", a format of " LOG_FORMAT_NAMES,
           wrong);
  log_output_say(LOG_WARN, text);
}

static int run(const CliRequest *request, char **argv, void (*open)(lua_State *L)) {
  if (request->shows_version) print_version();
  switch (request->command) {
  case CLI_HELP:
    help_print(request->about);
    return 0;
  case CLI_PS:
    return inspector_ask(request->pid, request->tracebacks);
  case CLI_VERSION:
    if (!request->shows_version) print_version();
    return 0;
  case CLI_SERVE:
    if (request->dev && access(request->target, R_OK) != 0) {
      fprintf(stderr, "moonloop: dev: cannot read '%s': %s\n", request->target, strerror(errno));
      return 1;
    }
    if ((request->workers || request->reload) && !supervised_is_wanted())
      return supervisor_main(
          &(SupervisorOptions){.app = request->target,
                               .where = request->where,
                               .workers = request->workers,
                               .reload = request->reload,
                               .dev = request->dev,
                               .metrics = request->shows_metrics ? &request->metrics : NULL,
                               .user = request->user,
                               .group = request->group,
                               .core_files = request->core_files || request->reload,
                               .drain = drain_of(request),
                               .kill_after = request->kill_after},
          argv);
    return script_main(request, argv, open);
  default:
    return script_main(request, argv, open);
  }
}

int cli_main(int argc, char **argv, void (*open)(lua_State *L)) {
  standard_descriptors_open();
  const char *lost = archive_open();
  if (lost) {
    fprintf(stderr, "%s: %s\n", argv[0], lost);
    return 1;
  }
  keep_some_memory();
  CliRequest request;
  OptionReader reader = {.argc = argc, .argv = argv, .request = &request};
  const char *bad = arguments_read(&reader, isatty(STDIN_FILENO));
  int status = 2;
  if (bad) {
    const char *command = arguments_command_name(request.about);
    fprintf(stderr, "moonloop: %s\nTry 'moonloop %s%s--help'.\n", bad, command ? command : "",
            command ? " " : "");
  } else {
    supervised_take_log();
    open_log(&request);
    status = run(&request, argv, open);
    log_output_finish();
  }
  arguments_free(&request);
  return status;
}
