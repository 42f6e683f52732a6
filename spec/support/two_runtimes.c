/* Two runtimes in one process, each on a thread of its own: two_runtimes FIFO, a path where a named
   pipe can be made. Prints "both closed" and exits with 0 when all went well. */
#include <moonloop.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int luaopen_process(lua_State *L);
int luaopen_checksum(lua_State *L);

static atomic_int failures;

#define CHECK(condition)                                                                           \
  do {                                                                                             \
    if (!(condition)) {                                                                            \
      fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                      \
      atomic_fetch_add(&failures, 1);                                                              \
    }                                                                                              \
  } while (0)

typedef struct Host {
  const char *fifo;
  ml_Runtime *rt;
  uv_sem_t started, stopped; /* the script waits for ever; its run has ended */
} Host;

#ifdef __SANITIZE_THREAD__ /* libuv is not built for it, and does not survive it when it forks */
#define HAS_PROCESSES 0
#else
#define HAS_PROCESSES 1
#endif

static const char work[] =
    "local ml, process, checksum = require 'moonloop', require 'process', require 'checksum'\n"
    "local list = {}\n"
    "for i = 1, 20 do list[i] = function()\n"
    "  ml.sleep(0.001 * (i % 3))\n"
    "  if has_processes and i % 5 == 0 then assert(process.run('true')) end\n"
    "  local sum = assert(checksum.file('/bin/sh'))\n"
    "  assert(sum == ml.executor.run(checksum.file, '/bin/sh'))\n"
    "  return sum\n"
    "end end\n"
    "local sums = ml.gather(list)\n"
    "for i = 1, 20 do assert(sums[i] == sums[1]) end\n"
    "runs = (runs or 0) + 1\n";

/* Told from Lua, while the script runs. */
static int l_started(lua_State *L) {
  lua_getglobal(L, "host");
  uv_sem_post(&((Host *)lua_touserdata(L, -1))->started);
  return 0;
}

static const char for_ever[] =
    "local ml, process, checksum = require 'moonloop', require 'process', require 'checksum'\n"
    "ml.spawn(checksum.file, fifo)\n" /* its thread waits until somebody opens the other end */
    "if has_processes then ml.spawn(process.run, 'sleep', '1000') end\n"
    "local q <close> = setmetatable({}, {__close = function() cleaned = true end})\n"
    "ml.spawn(function() started() end)\n"
    "ml.future():await()\n";

static const char busy[] = "started() while true do end";

/* Goes on computing after it has been interrupted, and so does one of the tasks that it leaves. */
static const char stubborn[] =
    "local ml = require 'moonloop'\n"
    "local function compute() while true do end end\n"
    "ml.spawn(function() ml.catch(ml.sleep, 1000) ml.catch(compute) compute() end)\n"
    "ml.sleep(0)\n"
    "started()\n"
    "for _ = 1, 2 do ml.catch(compute) end\n"
    "compute()\n";

static void keep_report(void *data, const char *text) { strncat(data, text, 511 - strlen(data)); }

static void *host_main(void *arg) {
  Host *host = arg;
  char report[512] = "";
  ml_Runtime *rt = host->rt = ml_runtime_new();
  CHECK(rt && ml_add_module(rt, "process", luaopen_process) == 0);
  CHECK(ml_add_module(rt, "checksum", luaopen_checksum) == 0);
  lua_State *L = ml_runtime_state(rt);
  CHECK(ml_runtime_of(L) == rt && ml_runtime_loop(rt)->data != NULL);
  lua_pushlightuserdata(L, host);
  lua_setglobal(L, "host");
  lua_pushcfunction(L, l_started);
  lua_setglobal(L, "started");
  lua_pushboolean(L, HAS_PROCESSES);
  lua_setglobal(L, "has_processes");
  lua_pushstring(L, host->fifo);
  lua_setglobal(L, "fifo");

  CHECK(ml_run_string(rt, work, "work") == 0);
  CHECK(ml_run_string(rt, work, "work") == 0); /* a runtime can run more than once */
  CHECK(lua_getglobal(L, "runs") == LUA_TNUMBER && lua_tointeger(L, -1) == 2);
  CHECK(ml_run_string(rt, "os.exit(7)", "exits") == 7);
  CHECK(ml_run_string(rt, "require 'moonloop'.sleep(0)", "after exit") == 0);

  ml_on_report(rt, keep_report, report);
  CHECK(ml_run_string(rt, "error 'boom'", "fails") == 1);
  CHECK(strstr(report, "fails:1: boom") && strstr(report, "traceback"));
  *report = 0;
  CHECK(ml_run_string(rt, "what is this", "bad") == 1 && strstr(report, "bad:1: syntax error"));
  *report = 0;
  CHECK(ml_run_file(rt, "/nosuch.lua", 0, NULL) == 1 && strstr(report, "/nosuch.lua"));
  *report = 0;
  CHECK(ml_run_string(rt, "require 'moonloop'.spawn(error, 'lost')", "lost") == 0);
  CHECK(strstr(report, "lost") && strstr(report, "nobody awaited"));
  ml_on_report(rt, NULL, NULL);

  ml_stop(rt); /* while nothing runs: the next run */
  CHECK(ml_run_string(rt, "ran = true", "never") == ML_STOPPED);
  CHECK(lua_getglobal(L, "ran") == LUA_TNIL);
  CHECK(ml_run_string(rt, for_ever, "for ever") == ML_STOPPED); /* the main thread stops it */
  CHECK(lua_getglobal(L, "cleaned") == LUA_TBOOLEAN);
  uv_sem_post(&host->stopped);
  CHECK(ml_run_string(rt, busy, "busy") == ML_STOPPED); /* so it does */
  uv_sem_post(&host->stopped);
  CHECK(ml_run_string(rt, stubborn, "stubborn") == ML_STOPPED); /* once */
  uv_sem_post(&host->stopped);
  CHECK(ml_runtime_close(rt) == 0); /* a thread still reads from the pipe */
  return NULL;
}

int main(int argc, char **argv) {
  Host hosts[2];
  pthread_t threads[2];
  CHECK(argc == 2 && mkfifo(argv[1], 0600) == 0);
  for (int i = 0; i < 2; i++) {
    hosts[i] = (Host){.fifo = argv[1]};
    uv_sem_init(&hosts[i].started, 0);
    uv_sem_init(&hosts[i].stopped, 0);
    CHECK(pthread_create(&threads[i], NULL, host_main, &hosts[i]) == 0);
  }
  for (int i = 0; i < 6; i++) {
    Host *host = &hosts[i % 2];
    uv_sem_wait(&host->started);
    ml_stop(host->rt);
    uv_sem_wait(&host->stopped);
  }
  for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);

  /* Both threads that read the pipe go on now, without a runtime to tell. */
  FILE *pipe = fopen(argv[1], "w");
  CHECK(pipe);
  fclose(pipe);
  unlink(argv[1]);
  for (int i = 0; i < 2; i++) {
    uv_sem_destroy(&hosts[i].started);
    uv_sem_destroy(&hosts[i].stopped);
  }
  if (atomic_load(&failures) > 0) return 1;
  puts("both closed");
  return 0;
}
