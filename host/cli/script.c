#include "cli/script.h"

#include "base/archive.h"
#include "base/descriptor_limit.h"
#include "base/output.h"
#include "core/cpu_meter.h"
#include "core/main_task.h"
#include "core/report.h"
#include "core/signals.h"
#include "core/task.h"
#include "core/watchdog.h"
#include "inspect/inspector.h"
#include "log/log_output.h"
#include "metrics/metrics.h"
#include "serve/core_files.h"
#include "serve/metrics_listener.h"
#include "serve/privileges.h"
#include "serve/sandbox.h"
#include "serve/service.h"
#include "serve/supervised.h"

#include <limits.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <string.h>
#include <unistd.h>

/* Seconds that a SIGTERM waits for a C function that blocks. */
#define SIGNALS_PATIENCE 2

#define WEB_APP "moonloop.web.app" /* the name of apps' metatable */

typedef struct Script {
  MainTask main;
  Runtime *rt;
  Signals signals;
  Inspector inspector;
  Supervised supervised;   /* of a worker process */
  ServeSockets sockets;    /* of serve; that of the inspector also of work */
  TempFolder temp;         /* in the sandbox */
  Service service;         /* of serve in one process, and of work */
  MetricsListener metrics; /* the same */
  CloseHook metrics_end;
  CloseHook service_end;
  const CliRequest *request;
} Script;

static void on_signal(Signals *signals, int signum) {
  Script *s = container_of(signals, Script, signals);
  const char *reason = signals_name(signum);
  if (signum != SIGINT || !signals->foreground) {
    main_task_stop(&s->main, reason, 128 + signum);
    return;
  }
  CancelCause *cause = cause_new(s->rt, reason);
  if (cause && signals->foreground->task) task_cancel(signals->foreground->task, cause);
  cause_drop(cause);
}

/* Does the run end at a prompt? */
static bool shows_prompt(const CliRequest *r) {
  return r->command == CLI_REPL || r->interactive ||
         (r->command == CLI_DB && strcmp(r->verb, "shell") == 0);
}

/* Does it serve or work until a signal comes? */
static bool is_service(const CliRequest *r) {
  return r->command == CLI_SERVE || r->command == CLI_WORK;
}

/* What signals do besides on_signal. */
static void choose_signals(Script *s) {
  bool is_server = is_service(s->request);
  bool is_worker = s->supervised.number,
       is_prompt = shows_prompt(s->request) && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
  s->signals.on_signal = on_signal;
  /* A worker may get each signal twice: from its supervisor, and directly if it was sent to all
     processes. */
  s->signals.second = is_worker ? SECOND_IS_AS_FIRST : is_prompt ? SECOND_ENDS_PROMPT : SECOND_ENDS;
  /* A server has its drain limit to end cleanly. */
  s->signals.are_servers = is_server;
  if (is_server)
    s->signals.ends_at_hangup = !is_worker;
  else
    s->signals.patience = SIGNALS_PATIENCE;
}

/* Is the value at `index` an app that is not being served? */
static bool is_idle_app(lua_State *L, int index) {
  if (!lua_istable(L, index) || !lua_getmetatable(L, index)) return false;
  lua_pushliteral(L, "__name");
  bool is_app = lua_rawget(L, -2) == LUA_TSTRING && strcmp(lua_tostring(L, -1), WEB_APP) == 0;
  lua_pop(L, 2);
  if (!is_app) return false;
  lua_pushliteral(L, "places");
  bool is_idle = lua_rawget(L, index) == LUA_TTABLE && lua_rawlen(L, -1) == 0;
  lua_pop(L, 1);
  return is_idle;
}

/* A script that only makes an app was meant to be served. */
static void on_returned(MainTask *main, lua_State *L) {
  const Script *s = container_of(main, Script, main);
  const char *path = s->request->target;
  if (!path || !is_idle_app(L, 1)) return;
  if (archive_main())
    report_sayf(s->rt, LOG_ERROR,
                "%s returned an app, and nothing serves it: run it with '%s serve'", path,
                program_invocation_name);
  else
    report_sayf(s->rt, LOG_ERROR,
                "%s returned an app, and nothing serves it: run it with 'moonloop serve %s'", path,
                path);
  main->result = 1;
}

/* Opens the sockets of serve and work, or takes those that the supervisor has opened. NULL, or what
   is wrong. */
static const char *open_sockets(Script *s) {
  static char wrong[LISTEN_NAME_MAX + 128];
  const ServeWhere *where = &s->request->where;
  if (s->request->command == CLI_SERVE && supervised_is_wanted())
    return supervised_take(&s->supervised, &s->sockets);
  uv_loop_t loop; /* for looking names up, which blocks */
  if (uv_loop_init(&loop)) return "cannot start: out of file descriptors";
  bool is_open = serve_sockets_open(&s->sockets, &loop, where, wrong, sizeof wrong);
  if (is_open && s->request->shows_metrics) {
    is_open = metrics_listener_bind(&s->metrics, &loop, &s->request->metrics, wrong, sizeof wrong);
    if (!is_open) serve_sockets_close(&s->sockets);
  }
  uv_loop_close(&loop);
  if (is_open &&
      privileges_drop(s->request->user, s->request->group, &s->sockets, wrong, sizeof wrong))
    return NULL;
  serve_sockets_close(&s->sockets);
  return wrong;
}

/* What has to be done before a service runs Lua, and starts threads. NULL, or what is wrong. */
static const char *prepare_service(Script *s) {
  static char refusal[PATH_MAX + 200];
  const CliRequest *r = s->request;
  SandboxPaths paths = {r->target,     r->readable,   r->writable,    r->tls_certs, r->tls_keys,
                        r->n_readable, r->n_writable, r->n_tls_certs, r->n_tls_keys};
  const char *wrong = open_sockets(s);
  if (wrong || !r->sandbox) return wrong;
  paths.filter.signals_others = r->where.inspects; /* it asks the other workers */
  paths.filter.n_shared = serve_sockets_seal(&s->sockets, paths.filter.shared);
  temp_folder_make(&s->temp);
  paths.temp = &s->temp;
  if (sandbox_enter(&paths, refusal, sizeof refusal)) return NULL;
  temp_folder_remove(&s->temp);
  serve_sockets_close(&s->sockets);
  return refusal;
}

static void close_service(CloseHook *hook, Runtime *rt) {
  (void)rt;
  service_close(&container_of(hook, Script, service_end)->service);
}

/* With workers, the supervisor speaks to the service manager. */
static void open_service(Script *s) {
  if (!is_service(s->request) || s->supervised.number) return;
  service_open(&s->service, &s->rt->loop);
  s->service_end.close = close_service;
  ml_runtime_on_close(s->rt, &s->service_end);
}

static void close_metrics(CloseHook *hook, Runtime *rt) {
  (void)rt;
  metrics_listener_stop(&container_of(hook, Script, metrics_end)->metrics);
}

static bool write_metrics(void *data, Buffer *out, bool open) {
  return metrics_write(data, out, open);
}

/* --metrics: the host's own are counted; with workers, it is the supervisor that shows them.
   Returns 0 or a libuv error. */
static int open_metrics(Script *s) {
  if (!s->request->shows_metrics) return 0;
  Metrics *metrics = metrics_of(s->rt);
  if (!metrics || !metrics_observe(metrics)) return UV_ENOMEM;
  int rc = metrics_beat_start(metrics);
  if (rc || s->supervised.number) return rc;
  s->metrics.write = write_metrics;
  s->metrics.data = metrics;
  s->metrics_end.close = close_metrics;
  ml_runtime_on_close(s->rt, &s->metrics_end);
  lua_pushlightuserdata(s->rt->L, &s->metrics);
  lua_setfield(s->rt->L, LUA_REGISTRYINDEX, METRICS_LISTENER_KEY);
  return metrics_listener_start(&s->metrics, &s->rt->loop);
}

int script_main(const CliRequest *request, char **argv, void (*open)(lua_State *L)) {
  static Script script; /* holds the loop's signal handles until the loop is closed */
  script = (Script){.request = request, .metrics.socket.fd = -1};
  script.main.is_host = is_service(request) || shows_prompt(request);
  script.main.gives_status = shows_prompt(request);
  if (request->command == CLI_RUN) script.main.returned = on_returned;
  signals_ignore_pipe(!is_service(request));
  if (is_service(request)) {
    descriptor_limit_raise();
    const char *wrong = prepare_service(&script);
    if (wrong) {
      log_output_say(LOG_ERROR, wrong);
      return 1;
    }
  }
  /* One who writes the app looks into it with other tools. */
  if (is_service(request) && !request->reload) core_files_allow(request->core_files);
  script.rt = runtime_new(open);
  if (!script.rt) {
    log_output_say(LOG_ERROR, "cannot start: out of memory or file descriptors");
    return 1;
  }
  choose_signals(&script);
  int rc = script.supervised.number
               ? supervised_open(&script.supervised, script.rt, &script.signals)
               : 0;
  if (rc) report_sayf(script.rt, LOG_WARN, "cannot hear the supervisor: %s", uv_strerror(rc));
  open_service(&script);
  rc = open_metrics(&script);
  if (rc) report_sayf(script.rt, LOG_WARN, "cannot show metrics: %s", uv_strerror(rc));
  inspector_open(&script.inspector, script.rt);
  if (script.sockets.inspect.is_open) inspector_allow_surveys(&script.inspector);
  cpu_meter_start(script.rt);
  /* A spec may compute for as long as it likes, since it runs alone. */
  rc = request->command == CLI_TEST
           ? 0
           : watchdog_start(script.rt, request->block_limit, request->cpu_limit);
  if (rc) report_sayf(script.rt, LOG_WARN, "cannot watch the loop: %s", uv_strerror(rc));
  ScriptSource source = {request,
                         argv,
                         &script.signals,
                         &script.supervised,
                         is_service(request) ? &script.sockets : NULL,
                         script.service_end.close ? &script.service : NULL};
  int status = main_task_run(&script.main, script.rt, script_load, &source);
  serve_sockets_close(&script.sockets);
  if (runtime_close(script.rt) != 0) status = 70; /* EX_SOFTWARE: a handle was left open */
  temp_folder_remove(&script.temp);
  /* The end of a server does not wait for a reader of its output. */
  if (is_service(request) && __fpending(stdout) && !output_has_room(STDOUT_FILENO))
    __fpurge(stdout);
  return status;
}
