#include "inspect/inspector.h"

#include "core/report.h"
#include "core/signals.h"
#include "inspect/dump.h"
#include "inspect/inspector_socket.h"
#include "inspect/survey.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_CLIENTS 8
#define PAUSE_SECONDS 0.1 /* between attempts while no descriptors are left */

/* How many connections are looked at in one interrupt. */
#define MOST_AT_ONCE 64

/* How many tasks a survey looks at in a pass: under a millisecond's work. */
#define SURVEY_TASKS 8192

typedef struct InspectorClient {
  uv_pipe_t pipe;
  Inspector *inspector;
  struct InspectorClient *next, **link;
  bool asked, answered;
  char question[ASK_LONGEST]; /* what has come */
  size_t n;
  Survey *survey; /* or NULL */
  Buffer text;
  uv_write_t write;
} InspectorClient;

/* Belongs to the process, since a signal handler gets no argument of ours. */
static struct {
  Inspector *inspector;
  void (*loop_handler)(int signum); /* libuv's, which wakes the loop */
} looked_into;

static void on_client_closed(uv_handle_t *handle) {
  InspectorClient *client = (InspectorClient *)(void *)handle;
  buffer_free(&client->text);
  survey_free(client->survey);
  free(client);
}

static void drop(InspectorClient *client) {
  if (uv_is_closing((uv_handle_t *)&client->pipe)) return;
  *client->link = client->next;
  if (client->next) client->next->link = client->link;
  client->inspector->n_clients--;
  uv_close((uv_handle_t *)&client->pipe, on_client_closed);
}

static void on_written(uv_write_t *write, int status) {
  (void)status;
  drop((InspectorClient *)(void *)write->handle);
}

/* Works on it. False: it goes on in the next pass. */
static bool survey(InspectorClient *client) {
  if (!client->survey) client->survey = survey_new(client->inspector->insight, client->question);
  return !client->survey || survey_step(client->survey, SURVEY_TASKS);
}

static void answer(InspectorClient *client, Runtime *rt) {
  const Buffer *text = &client->text;
  if (client->question[0] == ASK_SURVEY) {
    if (!survey(client)) return;
    if (client->survey) text = survey_answer(client->survey);
  } else {
    dump_tasks(rt, client->question[0] == ASK_TRACEBACKS, &client->text);
  }
  client->answered = true;
  uv_buf_t all = uv_buf_init(text->data, (unsigned)text->len);
  if (uv_write(&client->write, (uv_stream_t *)&client->pipe, &all, 1, on_written)) drop(client);
}

/* Somebody asked for them, so that the level does not matter. */
static void log_tasks(Runtime *rt, const Buffer *tasks) {
  static const char message[] = "the tasks of this process";
  size_t n = tasks->len && tasks->data[tasks->len - 1] == '\n' ? tasks->len - 1 : tasks->len;
  LogFields fields;
  fields.n = 0;
  log_fields_add(&fields, (LogField){"tasks", tasks->data, 5, n, LOG_FIELD_BELOW, false});
  LogEntry entry = {
      .level = LOG_INFO, .source = LOG_HOST, .message = message, .message_len = sizeof message - 1};
  report_entry(rt, &entry, &fields);
}

static void print_tasks(Inspector *inspector) {
  Buffer text = {0};
  inspector->print = 0;
  if (dump_tasks(inspector->rt, false, &text)) log_tasks(inspector->rt, &text);
  buffer_free(&text);
}

static void on_idle(uv_idle_t *idle) {
  Inspector *inspector = container_of(idle, Inspector, surveying);
  runtime_at_pass_end(inspector->rt, &inspector->pass);
}

static void on_pass_end(PassHook *hook, Runtime *rt) {
  Inspector *inspector = container_of(hook, Inspector, pass);
  if (inspector->print) print_tasks(inspector);
  bool is_surveying = false;
  for (InspectorClient *client = inspector->clients, *next; client; client = next) {
    next = client->next;
    if (!client->asked || client->answered) continue;
    answer(client, rt);
    is_surveying |= !client->answered;
  }
  if (is_surveying)
    uv_idle_start(&inspector->surveying, on_idle); /* the next pass does not wait for events */
  else
    uv_idle_stop(&inspector->surveying);
}

static void alloc_read(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer) {
  (void)suggested;
  InspectorClient *client = (InspectorClient *)(void *)handle;
  *buffer = uv_buf_init(client->question + client->n, (unsigned)(ASK_LONGEST - 1 - client->n));
}

/* Is what has come a whole question? */
static bool is_whole(const InspectorClient *client) {
  return client->question[0] != ASK_SURVEY || memchr(client->question, '\n', client->n);
}

/* Will what has come never be a question that is answered here? */
static bool is_refused(const InspectorClient *client) {
  if (client->question[0] != ASK_SURVEY) return false;
  return !client->inspector->insight || (client->n == ASK_LONGEST - 1 && !is_whole(client));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buffer) {
  InspectorClient *client = (InspectorClient *)(void *)stream;
  (void)buffer;
  if (n > 0) client->n += (size_t)n;
  if (n < 0 || (n > 0 && is_refused(client))) {
    drop(client);
    return;
  }
  if (n == 0 || !is_whole(client)) return;
  uv_read_stop(stream);
  client->asked = true;
  runtime_at_pass_end(client->inspector->rt, &client->inspector->pass);
}

static void add_client(Inspector *inspector, int fd) {
  InspectorClient *client = NULL;
  if (inspector->n_clients < MAX_CLIENTS && inspector_socket_is_ours(fd))
    client = calloc(1, sizeof *client);
  if (!client || uv_pipe_init(&inspector->rt->loop, &client->pipe, 0)) {
    free(client);
    close(fd);
    return;
  }
  client->inspector = inspector;
  client->link = &inspector->clients;
  client->next = inspector->clients;
  if (client->next) client->next->link = &client->next;
  inspector->clients = client;
  inspector->n_clients++;
  uv_unref((uv_handle_t *)&client->pipe);
  if (uv_pipe_open(&client->pipe, fd)) {
    close(fd);
    drop(client);
  } else if (uv_read_start((uv_stream_t *)&client->pipe, alloc_read, on_read)) {
    drop(client);
  }
}

static void on_connectable(uv_poll_t *poll, int status, int events);

static void pause_is_over(Timer *timer) {
  Inspector *inspector = container_of(timer, Inspector, pause);
  uv_poll_start(&inspector->listener, UV_READABLE, on_connectable);
}

static void on_connectable(uv_poll_t *poll, int status, int events) {
  Inspector *inspector = poll->data;
  Runtime *rt = inspector->rt;
  (void)status;
  (void)events;
  int fd = accept4(inspector->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd >= 0) {
    add_client(inspector, fd);
  } else if (errno == EMFILE || errno == ENFILE) { /* it would be called again and again */
    uv_poll_stop(poll);
    timer_set(&rt->timers, &inspector->pause, timer_due(runtime_now(rt), PAUSE_SECONDS),
              pause_is_over);
  }
}

/* --- between two instructions of a task that keeps the loop busy --- */

static bool is_asked(const Inspector *inspector) {
  struct pollfd readable = {.fd = inspector->fd, .events = POLLIN};
  return inspector->fd >= 0 && poll(&readable, 1, 0) == 1;
}

static bool interrupt_wanted(Interrupt *interrupt, Runtime *rt) {
  const Inspector *inspector = container_of(interrupt, Inspector, interrupt);
  return rt->scheduler.current && (inspector->print || is_asked(inspector));
}

/* Answers while it waits for the other side. */
static void answer_at_once(int fd, Runtime *rt, Insight *insight) {
  Buffer text = {0};
  char question[ASK_LONGEST], kind = inspector_socket_question(fd, question);
  Survey *survey = kind == ASK_SURVEY && insight ? survey_new(insight, question) : NULL;
  if (survey) {
    while (!survey_step(survey, SURVEY_TASKS)) continue;
  } else if (kind && kind != ASK_SURVEY) {
    dump_tasks(rt, kind == ASK_TRACEBACKS, &text);
  }
  const Buffer *whole = survey ? survey_answer(survey) : &text;
  inspector_socket_answer(fd, whole->data, whole->len);
  survey_free(survey);
  buffer_free(&text);
}

static void interrupt_act(Interrupt *interrupt, lua_State *L, lua_Debug *ar) {
  Inspector *inspector = container_of(interrupt, Inspector, interrupt);
  (void)L;
  (void)ar;
  if (inspector->print) print_tasks(inspector);
  /* Those of other users are only closed; many of them must not keep the task from going on. */
  for (unsigned n = 0; n < MOST_AT_ONCE && is_asked(inspector); n++) {
    int fd = accept4(inspector->fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0) break;
    answer_at_once(fd, inspector->rt, inspector->insight);
  }
}

static void on_os_signal(int signum) {
  int saved = errno;
  Inspector *inspector = looked_into.inspector;
  if (inspector && !pthread_equal(pthread_self(), inspector->rt->interrupts.thread)) {
    pthread_kill(inspector->rt->interrupts.thread,
                 signum); /* hooks are set on the loop's thread only */
  } else if (inspector) {
    Runtime *rt = inspector->rt;
    inspector->print = !signals_is_listened(signum); /* otherwise it is the script's */
    looked_into.loop_handler(signum);
    if (rt->scheduler.current && rt->scheduler.running) interrupt_arm(rt->scheduler.running, 1);
  }
  errno = saved;
}

/* --- its start and end --- */

static void on_signal(uv_signal_t *handle, int signum) {
  Inspector *inspector = handle->data;
  (void)signum;
  runtime_at_pass_end(inspector->rt, &inspector->pass);
}

static void on_runtime_close(CloseHook *hook, Runtime *rt) {
  Inspector *inspector = container_of(hook, Inspector, close);
  looked_into.inspector = NULL;
  interrupt_remove(rt, &inspector->interrupt);
  while (inspector->clients) drop(inspector->clients);
  if (inspector->insight) insight_close(inspector->insight);
  uv_close((uv_handle_t *)&inspector->signal, NULL);
  uv_close((uv_handle_t *)&inspector->surveying, NULL);
  if (inspector->fd < 0) return;
  timer_clear(&rt->timers, &inspector->pause);
  uv_close((uv_handle_t *)&inspector->listener, NULL);
  close(inspector->fd);
}

void inspector_open(Inspector *inspector, Runtime *rt) {
  interrupt_note_thread(rt);
  *inspector = (Inspector){.rt = rt, .pass.run = on_pass_end, .close.close = on_runtime_close};
  inspector->fd = inspector_socket_listen();
  if (inspector->fd >= 0 && uv_poll_init_socket(&rt->loop, &inspector->listener, inspector->fd)) {
    close(inspector->fd);
    inspector->fd = -1;
  }
  if (inspector->fd >= 0) {
    inspector->listener.data = inspector;
    uv_unref((uv_handle_t *)&inspector->listener);
    uv_poll_start(&inspector->listener, UV_READABLE, on_connectable);
  }
  uv_idle_init(&rt->loop, &inspector->surveying);
  uv_unref((uv_handle_t *)&inspector->surveying);
  uv_signal_init(&rt->loop, &inspector->signal);
  inspector->signal.data = inspector;
  uv_unref((uv_handle_t *)&inspector->signal);
  bool caught = uv_signal_start(&inspector->signal, on_signal, SIGUSR1) == 0;
  ml_runtime_on_close(rt, &inspector->close);
  inspector->interrupt = (Interrupt){NULL, interrupt_wanted, interrupt_act};
  interrupt_add(rt, &inspector->interrupt);
  if (!caught) return;
  struct sigaction action;
  sigaction(SIGUSR1, NULL, &action);
  looked_into.loop_handler = action.sa_handler;
  looked_into.inspector = inspector;
  action.sa_handler = on_os_signal;
  sigaction(SIGUSR1, &action, NULL);
}

void inspector_allow_surveys(Inspector *inspector) {
  inspector->insight = insight_new(inspector->rt);
}
