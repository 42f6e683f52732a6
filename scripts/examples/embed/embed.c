/* An example of a program that embeds moonloop: it runs a Lua script that may also use the modules
   "process" and "checksum".  embed SCRIPT [ARGS]; Ctrl-C stops it cleanly. */
#include <moonloop.h>

#include <signal.h>
#include <stdio.h>

int luaopen_process(lua_State *L);
int luaopen_checksum(lua_State *L);

static ml_Runtime *runtime;

static void on_signal(int signum) {
  (void)signum;
  ml_stop(runtime);
}

int main(int argc, char **argv) {
  if (argc < 2) {
    fprintf(stderr, "usage: %s SCRIPT [ARGS]\n", argv[0]);
    return 2;
  }
  runtime = ml_runtime_new();
  if (!runtime || ml_add_module(runtime, "process", luaopen_process) != 0 ||
      ml_add_module(runtime, "checksum", luaopen_checksum) != 0) {
    fprintf(stderr, "%s: cannot start\n", argv[0]);
    return 1;
  }
  signal(SIGPIPE,
         SIG_IGN); /* a write to a socket whose reader has gone is an error and must not kill us */
  signal(SIGINT, on_signal);
  int status = ml_run_file(runtime, argv[1], argc - 2, argv + 2);
  signal(SIGINT, SIG_DFL); /* ml_stop is for a runtime that is not being closed */
  if (ml_runtime_close(runtime) != 0) return 70;
  return status == ML_STOPPED ? 130 : status;
}
