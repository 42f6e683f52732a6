/* A program that embeds the host and has functions of its own that are called as the host's: it
   runs a script that finds them in the module "clash".  clash_embed SCRIPT */
#include <moonloop.h>

#include <signal.h>

int luaopen_clash(lua_State *L);

int main(int argc, char **argv) {
  ml_Runtime *rt = ml_runtime_new();
  if (argc != 2 || !rt || ml_add_module(rt, "clash", luaopen_clash) != 0) return 70;
  signal(SIGPIPE, SIG_IGN);
  int status = ml_run_file(rt, argv[1], 0, NULL);
  return ml_runtime_close(rt) != 0 ? 70 : status;
}
