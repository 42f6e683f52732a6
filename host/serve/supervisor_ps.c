#include "serve/supervisor_ps.h"

#include "inspect/inspector_socket.h"
#include "serve/supervisor.h"

#include <errno.h>
#include <inttypes.h>
#include <sys/socket.h>
#include <unistd.h>

#define PAUSE_MS 100 /* between attempts while no descriptors are left */

static const char *state_of(const Child *w) {
  switch (w->state) {
  case PROCESS_STARTING:
    return "starting";
  case PROCESS_READY:
    return "serving";
  default:
    return "ending";
  }
}

/* A worker's heading, and the number of its process, which `moonloop ps` asks next. */
static bool add_worker(const Supervisor *s, const Child *w, Buffer *text) {
  const ChildPlace *place = &w->owner->board->places[w->place];
  double age = 1e-3 * (double)(uv_now(&s->loop) - w->started_at);
  return buffer_printf(text,
                       "worker %u, pid %d: %s, generation %u, up %.1f s, %" PRIu64
                       " restarts, %u connections, %" PRIu64 " requests\n%c%d\n",
                       w->number, w->process.pid, state_of(w), w->generation, age,
                       s->posts[w->number - 1].restarts, place->connections, place->requests,
                       ANSWER_OF_SUPERVISOR, w->process.pid);
}

static bool is_shown_now(const Child *w, unsigned number, unsigned generation) {
  return w->number == number && w->generation == generation;
}

/* Sorted by number, with those of an ending generation first. */
static bool add_workers(const Supervisor *s, Buffer *text) {
  bool ok = true;
  for (unsigned number = 1; number <= s->n_posts; number++) {
    const ChildPost *post = &s->posts[number - 1];
    for (unsigned generation = 1; generation <= s->last; generation++)
      for (const Child *w = s->children.first; w; w = w->next)
        if (is_shown_now(w, number, generation)) ok = ok && add_worker(s, w, text);
    if (uv_is_active((const uv_handle_t *)&post->restart))
      ok =
          ok && buffer_printf(text, "worker %u: restarts in %.1f s, %" PRIu64 " restarts\n", number,
                              1e-3 * (double)uv_timer_get_due_in(&post->restart), post->restarts);
  }
  return ok;
}

static void on_connectable(uv_poll_t *poll, int status, int events);

static void on_pause_over(uv_timer_t *timer) {
  SupervisorPs *ps = timer->data;
  uv_poll_start(&ps->listener, UV_READABLE, on_connectable);
}

static void on_connectable(uv_poll_t *poll, int status, int events) {
  SupervisorPs *ps = poll->data;
  const Supervisor *s = ps->supervisor;
  (void)status;
  (void)events;
  int fd = accept4(ps->fd, NULL, NULL, SOCK_CLOEXEC);
  if (fd < 0) {
    if (errno != EMFILE && errno != ENFILE) return;
    uv_poll_stop(poll); /* it would be called again and again */
    uv_timer_start(&ps->pause, on_pause_over, PAUSE_MS, 0);
    return;
  }
  Buffer text = {0};
  char question[ASK_LONGEST];
  bool ok = inspector_socket_question(fd, question) &&
            buffer_printf(&text, "%cmoonloop %d: serves %s on %s, %u workers\n",
                          ANSWER_OF_SUPERVISOR, getpid(), s->options.app, s->shown, s->n_posts) &&
            add_workers(s, &text);
  inspector_socket_answer(fd, text.data, ok ? text.len : 0);
  buffer_free(&text);
}

void supervisor_ps_open(SupervisorPs *ps, Supervisor *supervisor) {
  ps->supervisor = supervisor;
  ps->listener.data = ps;
  ps->fd = inspector_socket_listen();
  if (ps->fd < 0) return;
  if (uv_poll_init_socket(&supervisor->loop, &ps->listener, ps->fd)) {
    close(ps->fd);
    ps->fd = -1;
    return;
  }
  uv_timer_init(&supervisor->loop, &ps->pause);
  ps->pause.data = ps;
  uv_poll_start(&ps->listener, UV_READABLE, on_connectable);
}

void supervisor_ps_close(SupervisorPs *ps) {
  if (ps->fd < 0) return;
  uv_close((uv_handle_t *)&ps->pause, NULL);
  uv_close((uv_handle_t *)&ps->listener, NULL);
  close(ps->fd);
}
