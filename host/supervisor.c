#include "supervisor.h"

#include "container_of.h"
#include "descriptor_limit.h"
#include "http_listen.h"
#include "signals.h"
#include "supervised.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A worker that ends unasked is restarted after a pause, which doubles each time until one has
   lived for long enough. */
#define FIRST_PAUSE_MS 100
#define LONGEST_PAUSE_MS 10000
#define LONG_ENOUGH_MS 30000

static Supervisor *supervisor_of(SupervisorWorker *w) {
  return container_of(w->owner, Supervisor, workers);
}

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void say(const char *format, ...) {
  char text[512];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  fprintf(stderr, "moonloop: %s\n", text);
}

/* --- the end --- */

static void close_all(Supervisor *s) {
  for (size_t i = 0; i < sizeof s->signals / sizeof *s->signals; i++)
    uv_close((uv_handle_t *)&s->signals[i], NULL);
  for (unsigned i = 0; i < s->n_posts; i++) uv_close((uv_handle_t *)&s->posts[i].restart, NULL);
  if (s->request->reload) file_watch_close(&s->watch);
  supervisor_ps_close(&s->ps);
}

/* Ends when the last worker has. */
static void stop(Supervisor *s) {
  if (!s->stopping) {
    s->stopping = true;
    s->coming = 0;
    for (unsigned i = 0; i < s->n_posts; i++) uv_timer_stop(&s->posts[i].restart);
    for (SupervisorWorker *w = s->workers.workers; w; w = w->next) supervisor_worker_stop(w);
  }
  if (!s->workers.workers) close_all(s);
}

/* --- generations --- */

/* Those of its workers that are ready have clients. */
static void give_coming_up(Supervisor *s) {
  for (SupervisorWorker *w = s->workers.workers; w; w = w->next)
    if (w->generation == s->coming && w->state != PROCESS_LEAVING) supervisor_worker_retire(w);
  s->coming = 0;
}

static void coming_failed(Supervisor *s) {
  give_coming_up(s);
  if (s->serving) {
    say("the workers that were there go on, with the code that they have");
    return;
  }
  s->status = 1;
  stop(s);
}

/* Starts a worker of the coming generation. */
static bool start_coming(Supervisor *s, unsigned number) {
  int rc = supervisor_worker_start(&s->workers, number, s->coming);
  if (!rc) return true;
  say("worker %u cannot be started: %s", number, uv_strerror(rc));
  coming_failed(s);
  return false;
}

/* Begins a generation, in place of one that is not complete yet. Its first worker goes alone: where
   the app does not load, that is to be said once. */
static void begin_generation(Supervisor *s) {
  if (s->coming) give_coming_up(s);
  s->coming = ++s->last;
  s->n_coming = 0;
  start_coming(s, 1);
}

static void say_where(const Supervisor *s) {
  const char *host = s->request->host;
  bool v6 = strchr(host, ':') != NULL;
  printf("moonloop %s: serving %s on http://%s%s%s:%d with %u worker%s (Ctrl-C stops)\n",
         ML_VERSION, s->request->target, v6 ? "[" : "", host, v6 ? "]" : "", s->port, s->n_posts,
         s->n_posts == 1 ? "" : "s");
  fflush(stdout);
}

/* All workers of the coming generation are ready: it serves, and the one before makes room. */
static void let_coming_serve(Supervisor *s) {
  bool is_first = s->serving == 0;
  s->serving = s->coming;
  s->coming = 0;
  for (unsigned i = 0; i < s->n_posts; i++) {
    uv_timer_stop(&s->posts[i].restart);
    s->posts[i].pause = 0;
  }
  for (SupervisorWorker *w = s->workers.workers; w; w = w->next) {
    if (w->generation != s->serving && w->state != PROCESS_LEAVING) supervisor_worker_retire(w);
  }
  if (is_first)
    say_where(s);
  else
    say("reloaded: %u new worker%s of generation %u", s->n_posts, s->n_posts == 1 ? "" : "s",
        s->serving);
}

static void on_ready(SupervisorWorker *w) {
  Supervisor *s = supervisor_of(w);
  if (w->generation != s->coming) {
    say("worker %u (pid %d) serves", w->number, w->process.pid);
    return;
  }
  if (++s->n_coming == 1)
    for (unsigned number = 2; number <= s->n_posts; number++)
      if (!start_coming(s, number)) return;
  if (s->n_coming == s->n_posts) let_coming_serve(s);
}

/* --- workers that end --- */

static void on_restart(uv_timer_t *timer);

static void restart_later(WorkerPost *post) {
  post->pause = post->pause ? post->pause * 2 : FIRST_PAUSE_MS;
  if (post->pause > LONGEST_PAUSE_MS) post->pause = LONGEST_PAUSE_MS;
  uv_timer_start(&post->restart, on_restart, post->pause, 0);
}

static void on_restart(uv_timer_t *timer) {
  WorkerPost *post = timer->data;
  Supervisor *s = post->supervisor;
  post->restarts++;
  int rc = supervisor_worker_start(&s->workers, post->number, s->serving);
  if (!rc) return;
  restart_later(post);
  say("worker %u cannot be started: %s; the next try is in %g s", post->number, uv_strerror(rc),
      1e-3 * (double)post->pause);
}

static void on_crash(SupervisorWorker *w, const char *end, double age) {
  Supervisor *s = supervisor_of(w);
  WorkerPost *post = &s->posts[w->number - 1];
  if (w->was_ready && age >= 1e-3 * LONG_ENOUGH_MS) post->pause = 0;
  restart_later(post);
  say("worker %u (pid %d) %s%s after %.1f s; it is restarted in %g s", w->number, w->process.pid,
      end, w->was_ready ? "" : ", before it was ready,", age, 1e-3 * (double)post->pause);
}

static void on_end(SupervisorWorker *w) {
  Supervisor *s = supervisor_of(w);
  char end[120];
  supervisor_worker_describe_end(w, end, sizeof end);
  if (w->state == PROCESS_LEAVING) {
    /* A SIGTERM may come when it is all but gone, and catches no signals any more. */
    bool is_good = w->signal ? w->signal == SIGTERM : w->status == 0;
    if (!is_good && w->was_ready) {
      say("worker %u (pid %d) %s when it was to end", w->number, w->process.pid, end);
      if (s->stopping && !s->status) s->status = w->signal ? 128 + w->signal : w->status;
    }
  } else if (w->generation == s->coming) {
    say("worker %u (pid %d) %s before all were ready", w->number, w->process.pid, end);
    coming_failed(s);
    return;
  } else {
    on_crash(w, end, 1e-3 * (double)(uv_now(&s->loop) - w->started_at));
  }
  if (s->stopping) stop(s);
}

/* --- changes of the code --- */

static void on_file(SupervisorWorker *w, const char *path, const FileSignature *signature) {
  Supervisor *s = supervisor_of(w);
  if (!s->request->reload) return;
  int rc = file_watch_add(&s->watch, path, signature);
  if (rc) say("changes of %s cannot be seen: %s", path, uv_strerror(rc));
}

static void on_change(FileWatch *watch, const char *path) {
  Supervisor *s = container_of(watch, Supervisor, watch);
  if (s->stopping) return;
  say("%s has changed", path);
  begin_generation(s);
}

/* --- signals --- */

/* Ends the process at once, as a second signal does any server. */
static void end_now(Supervisor *s, int signum) {
  for (SupervisorWorker *w = s->workers.workers; w; w = w->next)
    uv_process_kill(&w->process, SIGKILL);
  _exit(128 + signum);
}

static bool has_terminal(void) {
  int fd = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (fd >= 0) close(fd);
  return fd >= 0;
}

/* Does the end of the terminal end the server? Not where somebody has said that it does not
   (nohup). */
static bool needs_terminal(void) {
  struct sigaction before;
  return sigaction(SIGHUP, NULL, &before) == 0 && before.sa_handler != SIG_IGN && has_terminal();
}

/* Somebody asks for new code, or closed the terminal that this server was started on. */
static void on_hangup(Supervisor *s) {
  if (s->stopping) return;
  if (s->needs_terminal && !has_terminal())
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
  case SIGUSR1:
    for (SupervisorWorker *w = s->workers.workers; w; w = w->next)
      if (w->was_ready) uv_process_kill(&w->process, SIGUSR1);
    break;
  default:
    if (s->stopping) end_now(s, signum);
    stop(s);
  }
}

static int catch_signals(Supervisor *s) {
  static const int signums[] = {SIGINT, SIGTERM, SIGHUP, SIGUSR1};
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

/* What workers are started from. Returns 0 or a libuv error. */
static int open_workers(Supervisor *s, int listener, char **argv) {
  s->workers = (WorkerOwner){.loop = &s->loop,
                             .argv = argv,
                             .kill_after = s->request->kill_after,
                             .listener = listener,
                             .on_ready = on_ready,
                             .on_file = on_file,
                             .on_end = on_end};
  s->workers.board = worker_board_new(&s->workers.board_fd);
  if (!s->workers.board) return uv_translate_sys_error(errno);
  s->n_posts = s->request->workers ? s->request->workers : 1;
  s->posts = calloc(s->n_posts, sizeof *s->posts);
  return s->posts ? 0 : UV_ENOMEM;
}

static int open_handles(Supervisor *s) {
  for (unsigned i = 0; i < s->n_posts; i++) {
    WorkerPost *post = &s->posts[i];
    *post = (WorkerPost){.supervisor = s, .number = i + 1};
    uv_timer_init(&s->loop, &post->restart);
    post->restart.data = post;
  }
  supervisor_ps_open(&s->ps, s);
  s->needs_terminal = needs_terminal();
  s->watch.changed = on_change;
  if (s->request->reload) file_watch_open(&s->watch, &s->loop);
  return catch_signals(s);
}

/* Serves until all is over. */
static void serve(Supervisor *s, int listener, char **argv) {
  int rc = open_workers(s, listener, argv);
  if (rc) {
    say("worker processes cannot be started: %s", uv_strerror(rc));
    s->status = 1;
    return;
  }
  rc = open_handles(s);
  if (rc) {
    say("cannot catch signals: %s", uv_strerror(rc));
    s->status = 1;
    stop(s);
  } else {
    begin_generation(s);
  }
  uv_run(&s->loop, UV_RUN_DEFAULT);
}

int supervisor_main(const CliRequest *request, char **argv) {
  Supervisor s = {.request = request};
  signals_ignore_pipe(false);
  descriptor_limit_raise();
  int rc = uv_loop_init(&s.loop);
  if (rc) {
    say("cannot start: %s", uv_strerror(rc));
    return 1;
  }
  int fd = http_listen(&s.loop, request->host, (uint16_t)request->port);
  if (fd < 0) {
    say("cannot listen on %s port %d: %s", request->host, request->port, uv_strerror(fd));
    s.status = 1;
  } else {
    s.port = http_listen_port(fd);
    serve(&s, fd, argv);
    close(fd);
  }
  if (s.workers.board) {
    worker_board_unmap(s.workers.board);
    close(s.workers.board_fd);
  }
  free(s.posts);
  return uv_loop_close(&s.loop) == 0 ? s.status : 70; /* EX_SOFTWARE: a handle was left open */
}
