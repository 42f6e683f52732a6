#include "serve/supervisor.h"

#include "base/container_of.h"
#include "base/controlling_terminal.h"
#include "base/descriptor_limit.h"
#include "core/signals.h"
#include "log/log_output.h"
#include "metrics/metric_text.h"
#include "net/tls_tickets.h"
#include "serve/core_files.h"
#include "serve/privileges.h"
#include "serve/supervised.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A worker that ends on its own is restarted after a pause, which doubles each time until one has
   lived long enough. */
#define FIRST_PAUSE_MS 100
#define LONGEST_PAUSE_MS 10000
#define LONG_ENOUGH_MS 30000

static Supervisor *supervisor_of(Child *w) { return container_of(w->owner, Supervisor, children); }

static void say(Supervisor *s, LogLevel level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void say(Supervisor *s, LogLevel level, const char *format, ...) {
  char text[512];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  error_lines_say(&s->errors, level, text);
}

/* --- the end --- */

static void close_all(Supervisor *s) {
  for (size_t i = 0; i < sizeof s->signals / sizeof *s->signals; i++)
    uv_close((uv_handle_t *)&s->signals[i], NULL);
  for (unsigned i = 0; i < s->n_posts; i++) uv_close((uv_handle_t *)&s->posts[i].restart, NULL);
  if (s->options.reload) file_watch_close(&s->watch);
  service_close(&s->service);
  metrics_listener_stop(&s->metrics_listener);
  supervisor_ps_close(&s->ps);
  uv_close((uv_handle_t *)&s->rotation, NULL);
}

/* Ends when the last worker has. */
static void stop(Supervisor *s) {
  if (!s->stopping) {
    s->stopping = true;
    service_stopping(&s->service, "stopping: running requests end");
    serve_sockets_end(&s->sockets);
    s->coming = 0;
    for (unsigned i = 0; i < s->n_posts; i++) uv_timer_stop(&s->posts[i].restart);
    for (Child *w = s->children.first; w; w = w->next) child_stop(w);
  }
  if (!s->children.first) close_all(s);
}

/* --- generations --- */

/* Those of its workers that are ready have clients. */
static void give_coming_up(Supervisor *s) {
  for (Child *w = s->children.first; w; w = w->next)
    if (w->generation == s->coming && w->state != PROCESS_LEAVING) child_retire(w);
  s->coming = 0;
}

/* Tells the service manager that the generation serves, or still does. */
static void tell_ready(Supervisor *s, const char *besides) {
  char status[1300];
  snprintf(status, sizeof status, "serving %s on %s with %u worker%s, generation %u%s",
           s->options.app, s->shown, s->n_posts, s->n_posts == 1 ? "" : "s", s->serving, besides);
  service_ready(&s->service, status);
}

static void coming_failed(Supervisor *s) {
  give_coming_up(s);
  if (s->serving) {
    tell_ready(s, "; new workers could not be started");
    say(s, LOG_WARN, "the old workers continue with the code that they have");
    return;
  }
  if (s->options.dev) {
    say(s, LOG_INFO, "waiting for a change of the code");
    return;
  }
  s->status = 1;
  stop(s);
}

/* Starts a worker of the coming generation. */
static bool start_coming(Supervisor *s, unsigned number) {
  int rc = child_start(&s->children, number, s->coming);
  if (!rc) return true;
  say(s, LOG_ERROR, "worker %u cannot be started: %s", number, uv_strerror(rc));
  coming_failed(s);
  return false;
}

/* Begins a generation, replacing one that is not complete yet. Its first worker starts alone, so
   that an app that does not load is reported only once. */
static void begin_generation(Supervisor *s) {
  if (s->coming) give_coming_up(s);
  if (s->serving) service_reloading(&s->service);
  s->coming = ++s->last;
  s->n_coming = 0;
  start_coming(s, 1);
}

static void say_metrics(const Supervisor *s) {
  if (*s->metrics_listener.where)
    printf("moonloop %s: the metrics are at %s\n", ML_VERSION, s->metrics_listener.where);
  fflush(stdout);
}

static void say_where(Supervisor *s) {
  const char *warning = privileges_warning(s->options.user);
  printf("moonloop %s: serving %s on %s with %u worker%s (Ctrl-C stops)\n", ML_VERSION,
         s->options.app, s->shown, s->n_posts, s->n_posts == 1 ? "" : "s");
  if (s->sockets.inspect.is_open) {
    char where[LISTEN_NAME_MAX + INSPECT_TOKEN + 8];
    inspect_socket_describe(&s->sockets.inspect, where, sizeof where);
    printf("moonloop %s: the inspector is at %s\n", ML_VERSION, where);
  }
  say_metrics(s);
  if (warning) say(s, LOG_WARN, "%s", warning);
}

/* All workers of the coming generation are ready: it serves, and the previous one retires. */
static void let_coming_serve(Supervisor *s) {
  bool is_first = s->serving == 0;
  s->serving = s->coming;
  s->coming = 0;
  tell_ready(s, "");
  for (unsigned i = 0; i < s->n_posts; i++) {
    uv_timer_stop(&s->posts[i].restart);
    s->posts[i].pause = 0;
  }
  for (Child *w = s->children.first; w; w = w->next) {
    if (w->generation != s->serving && w->state != PROCESS_LEAVING) child_retire(w);
  }
  if (is_first && s->options.dev)
    say_metrics(s); /* the worker has told all else */
  else if (is_first)
    say_where(s);
  else
    say(s, LOG_INFO, "reloaded: %u new worker%s of generation %u", s->n_posts,
        s->n_posts == 1 ? "" : "s", s->serving);
}

static void on_ready(Child *w) {
  Supervisor *s = supervisor_of(w);
  if (w->generation != s->coming) {
    say(s, LOG_INFO, "worker %u (pid %d) serves", w->number, w->process.pid);
    return;
  }
  if (++s->n_coming == 1)
    for (unsigned number = 2; number <= s->n_posts; number++)
      if (!start_coming(s, number)) return;
  if (s->n_coming == s->n_posts) let_coming_serve(s);
}

/* --- workers that end --- */

static void on_restart(uv_timer_t *timer);

static void restart_later(ChildPost *post) {
  post->pause = post->pause ? post->pause * 2 : FIRST_PAUSE_MS;
  if (post->pause > LONGEST_PAUSE_MS) post->pause = LONGEST_PAUSE_MS;
  uv_timer_start(&post->restart, on_restart, post->pause, 0);
}

static void on_restart(uv_timer_t *timer) {
  ChildPost *post = timer->data;
  Supervisor *s = post->supervisor;
  post->restarts++;
  int rc = child_start(&s->children, post->number, s->serving);
  if (!rc) return;
  restart_later(post);
  say(s, LOG_ERROR, "worker %u cannot be started: %s; the next try is in %g s", post->number,
      uv_strerror(rc), 1e-3 * (double)post->pause);
}

static void on_crash(Child *w, const char *end, double age) {
  Supervisor *s = supervisor_of(w);
  ChildPost *post = &s->posts[w->number - 1];
  if (w->was_ready && age >= 1e-3 * LONG_ENOUGH_MS) post->pause = 0;
  restart_later(post);
  say(s, LOG_ERROR, "worker %u (pid %d) %s%s after %.1f s; it is restarted in %g s", w->number,
      w->process.pid, end, w->was_ready ? "" : ", before it was ready,", age,
      1e-3 * (double)post->pause);
}

static void on_end(Child *w) {
  Supervisor *s = supervisor_of(w);
  char end[120];
  metric_share_fold(&s->metrics, (unsigned)w->place + 1);
  child_describe_end(w, end, sizeof end);
  if (w->state == PROCESS_LEAVING) {
    /* A SIGTERM may arrive when it is nearly gone and no longer catches signals. */
    bool is_good = w->signal ? w->signal == SIGTERM : w->status == 0;
    if (!is_good && w->was_ready) {
      say(s, LOG_WARN, "worker %u (pid %d) %s when it was told to end", w->number, w->process.pid,
          end);
      if (s->stopping && !s->status) s->status = w->signal ? 128 + w->signal : w->status;
    }
  } else if (w->generation == s->coming) {
    if (!s->options.dev || w->signal) /* else it has said why itself */
      say(s, LOG_ERROR, "worker %u (pid %d) %s before all were ready", w->number, w->process.pid,
          end);
    coming_failed(s);
    return;
  } else {
    on_crash(w, end, 1e-3 * (double)(uv_now(&s->loop) - w->started_at));
  }
  if (s->stopping) stop(s);
}

/* --- changes of the code --- */

static void on_file(Child *w, const char *path, const FileSignature *signature) {
  Supervisor *s = supervisor_of(w);
  if (!s->options.reload) return;
  int rc = file_watch_add(&s->watch, path, signature);
  bool is_told = rc == UV_ENOSPC && s->watches_no_more;
  s->watches_no_more = s->watches_no_more || rc == UV_ENOSPC;
  if (rc && !is_told) say(s, LOG_WARN, "cannot watch %s for changes: %s", path, uv_strerror(rc));
}

static void on_change(FileWatch *watch, const char *path) {
  Supervisor *s = container_of(watch, Supervisor, watch);
  if (s->stopping) return;
  say(s, LOG_INFO, "%s has changed", path);
  begin_generation(s);
}

/* --- signals --- */

/* Ends the process at once, as a second signal does for any server. */
static void end_now(Supervisor *s, int signum) {
  for (Child *w = s->children.first; w; w = w->next) uv_process_kill(&w->process, SIGKILL);
  _exit(128 + signum);
}

/* Does the end of the terminal end the server? Not with nohup. */
static bool needs_terminal(void) {
  struct sigaction before;
  return sigaction(SIGHUP, NULL, &before) == 0 && before.sa_handler != SIG_IGN &&
         controlling_terminal_exists();
}

/* New code is requested, or the server's terminal was closed. */
static void on_hangup(Supervisor *s) {
  if (s->stopping) return;
  if (s->needs_terminal && !controlling_terminal_exists())
    stop(s);
  else
    begin_generation(s);
}

static void on_signal(uv_signal_t *handle, int signum) {
  Supervisor *s = handle->data;
  switch (signum) {
  case SIGHUP:
    on_hangup(s);
    break;
  case SIGUSR2:
    for (Child *w = s->children.first; w; w = w->next) child_read_certificates(w);
    break;
  case SIGUSR1:
    for (Child *w = s->children.first; w; w = w->next)
      if (w->was_ready) uv_process_kill(&w->process, SIGUSR1);
    break;
  default:
    if (s->stopping) end_now(s, signum);
    stop(s);
  }
}

static int catch_signals(Supervisor *s) {
  static const int signums[] = {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2};
  for (size_t i = 0; i < sizeof signums / sizeof *signums; i++) {
    s->signals[i].data = s;
    uv_signal_init(&s->loop, &s->signals[i]);
  }
  for (size_t i = 0; i < sizeof signums / sizeof *signums; i++) {
    int rc = uv_signal_start(&s->signals[i], on_signal, signums[i]);
    if (rc) return rc;
  }
  return 0;
}

/* --- the start --- */

/* Prepares what workers are started with. Returns 0 or a libuv error. */
static int open_workers(Supervisor *s, char **argv) {
  s->children = (ChildOwner){.loop = &s->loop,
                             .argv = argv,
                             .kill_after = s->options.kill_after,
                             .drain = s->options.drain,
                             .sockets = &s->sockets,
                             .errors = &s->errors,
                             .is_alone = s->options.dev && s->options.workers <= 1,
                             .on_ready = on_ready,
                             .on_file = on_file,
                             .on_end = on_end};
  s->children.board = child_board_new(&s->children.board_fd);
  if (!s->children.board) return uv_translate_sys_error(errno);
  memcpy(s->children.board->inspect_token, s->sockets.inspect.token,
         sizeof s->children.board->inspect_token);
  int rc = metric_share_new(&s->metrics);
  if (rc) return uv_translate_sys_error(rc);
  s->children.metrics = &s->metrics;
  s->n_posts = s->options.workers ? s->options.workers : 1;
  s->posts = calloc(s->n_posts, sizeof *s->posts);
  char count[16]; /* for the workers, and what they start */
  snprintf(count, sizeof count, "%u", s->n_posts);
  if (setenv(WORKERS_VARIABLE, count, true)) return UV_ENOMEM;
  return s->posts ? 0 : UV_ENOMEM;
}

/* The workers share the keys of session tickets, so that any of them can resume a session. */
static void on_rotation(uv_timer_t *timer) {
  Supervisor *s = timer->data;
  tls_tickets_rotate(&s->children.board->tickets);
}

/* The workers are not asked: it reads what they write down. */
static bool write_metrics(void *data, Buffer *out, bool open) {
  const Supervisor *s = data;
  MetricStore *all = metric_share_collect(&s->metrics);
  bool ok = all && metric_text_write(out, all, open);
  metric_store_free(all);
  return ok;
}

static void open_metrics(Supervisor *s) {
  if (!s->options.metrics) return;
  s->metrics_listener.write = write_metrics;
  s->metrics_listener.data = s;
  int rc = metrics_listener_start(&s->metrics_listener, &s->loop);
  if (rc) say(s, LOG_WARN, "--metrics: cannot listen: %s", uv_strerror(rc));
}

static int open_handles(Supervisor *s) {
  tls_tickets_rotate(&s->children.board->tickets);
  uv_timer_init(&s->loop, &s->rotation);
  s->rotation.data = s;
  uv_timer_start(&s->rotation, on_rotation, TLS_TICKET_PERIOD * 1000, TLS_TICKET_PERIOD * 1000);
  for (unsigned i = 0; i < s->n_posts; i++) {
    ChildPost *post = &s->posts[i];
    *post = (ChildPost){.supervisor = s, .number = i + 1};
    uv_timer_init(&s->loop, &post->restart);
    post->restart.data = post;
  }
  supervisor_ps_open(&s->ps, s);
  open_metrics(s);
  service_open(&s->service, &s->loop);
  s->needs_terminal = needs_terminal();
  s->watch.changed = on_change;
  if (s->options.reload) file_watch_open(&s->watch, &s->loop);
  return catch_signals(s);
}

/* Serves until all is over. */
static void serve(Supervisor *s, char **argv) {
  int rc = open_workers(s, argv);
  if (rc) {
    say(s, LOG_ERROR, "worker processes cannot be started: %s", uv_strerror(rc));
    s->status = 1;
    return;
  }
  rc = open_handles(s);
  if (rc) {
    say(s, LOG_ERROR, "cannot catch signals: %s", uv_strerror(rc));
    s->status = 1;
    stop(s);
  } else {
    begin_generation(s);
  }
  uv_run(&s->loop, UV_RUN_DEFAULT);
}

int supervisor_main(const SupervisorOptions *options, char **argv) {
  Supervisor s = {.options = *options, .metrics.fd = -1, .metrics_listener.socket.fd = -1};
  char wrong[LISTEN_NAME_MAX + 128];
  signals_ignore_pipe(false);
  descriptor_limit_raise();
  int rc = uv_loop_init(&s.loop);
  if (rc) {
    log_output_say(LOG_ERROR, "cannot start: the loop cannot be made");
    return 1;
  }
  error_lines_open(&s.errors, &s.loop);
  if (serve_sockets_open(&s.sockets, &s.loop, &options->where, wrong, sizeof wrong) &&
      serve_sockets_start(&s.sockets, wrong, sizeof wrong) &&
      (!options->metrics || metrics_listener_bind(&s.metrics_listener, &s.loop, options->metrics,
                                                  wrong, sizeof wrong)) &&
      privileges_drop(options->user, options->group, &s.sockets, wrong, sizeof wrong)) {
    core_files_allow(
        options->core_files); /* it has the keys of session tickets, and all variables */
    serve_sockets_describe(&s.sockets, s.shown, sizeof s.shown);
    serve(&s, argv);
    serve_sockets_end(&s.sockets);
  } else {
    say(&s, LOG_ERROR, "%s", wrong);
    serve_sockets_end(&s.sockets);
    s.status = 1;
  }
  if (s.children.board) {
    child_board_unmap(s.children.board);
    close(s.children.board_fd);
  }
  metric_share_close(&s.metrics);
  metrics_listener_stop(&s.metrics_listener);
  free(s.posts);
  error_lines_close(&s.errors);
  uv_run(&s.loop, UV_RUN_DEFAULT);
  return uv_loop_close(&s.loop) == 0 ? s.status : 70; /* EX_SOFTWARE: a handle was left open */
}
