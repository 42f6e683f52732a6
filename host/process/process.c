#include "process/process.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

/* How long what is printed is read after the program has ended, if another program keeps its pipe
   open. */
#define GRACE 0.1

/* How often the rest of a group is looked for. */
#define GROUP_EVERY 0.02

/* How long closing a runtime waits for a killed program, which may hang in the kernel. */
#define LAST_WAIT_MS 5000

/* --- all of a runtime --- */

typedef struct Processes {
  CloseHook close;
  Process *first;
} Processes;

static void close_all(CloseHook *hook, Runtime *rt);

/* The runtime's, made at first use: its close hook is how it is found again. */
static Processes *processes_of(Runtime *rt) {
  for (CloseHook *hook = rt->close_hooks; hook; hook = hook->next)
    if (hook->close == close_all) return container_of(hook, Processes, close);
  Processes *all = calloc(1, sizeof *all);
  if (!all) return NULL;
  all->close.close = close_all;
  ml_runtime_on_close(rt, &all->close);
  return all;
}

static void list(Process *p, Processes *all) {
  p->next = all->first;
  p->link = &all->first;
  if (p->next) p->next->link = &p->next;
  all->first = p;
}

static void unlist(Process *p) {
  if (!p->link) return;
  *p->link = p->next;
  if (p->next) p->next->link = p->link;
  p->link = NULL;
}

/* --- its end --- */

static void free_if_done(Process *p) {
  if (!p->released || !p->over || p->user.open_handles) return;
  unlist(p);
  for (int i = 0; i < 3; i++) buffer_free(&p->pipes[i].text);
  free(p);
}

static void set_timer(Process *p, Timer *timer, uint64_t due, void (*fire)(Timer *)) {
  /* Without memory for a timer the wait that it limits is over now. */
  if (timer_set(&p->rt->timers, timer, due, fire)) fire(timer);
}

static uint64_t in_seconds(const Process *p, double seconds) {
  return timer_due(runtime_now(p->rt), seconds);
}

static bool output_is_open(const Process *p) { return p->pipes[1].open || p->pipes[2].open; }

static void be_over(Process *p) {
  if (p->over) return;
  p->over = true;
  timer_clear(&p->rt->timers, &p->grace);
  timer_clear(&p->rt->timers, &p->killer);
  for (int i = 0; i < 3; i++) process_pipe_close(&p->pipes[i]);
  waiters_wake_all(&p->line);
  free_if_done(p);
}

static void on_grace_over(Timer *timer) {
  Process *p = container_of(timer, Process, grace);
  for (int i = 1; i < 3; i++) process_pipe_take_rest(&p->pipes[i]);
  be_over(p);
}

/* The program has ended, and what is left of its group if that was asked for. */
static void read_rest(Process *p) {
  if (!output_is_open(p))
    be_over(p);
  else
    set_timer(p, &p->grace, in_seconds(p, GRACE), on_grace_over);
}

/* The group keeps its number while a process is in it; that all of them end and the number is given
   away again between two looks would take all numbers there are. */
static void on_group_look(Timer *timer) {
  Process *p = container_of(timer, Process, killer);
  if (kill(-p->pid, 0) == 0) {
    if (runtime_now(p->rt) < p->kill_at) {
      uint64_t next = in_seconds(p, GROUP_EVERY);
      if (timer_set(&p->rt->timers, timer, next < p->kill_at ? next : p->kill_at, on_group_look) ==
          0)
        return;
    }
    kill(-p->pid, SIGKILL);
  }
  read_rest(p);
}

static void on_exit_closed(uv_handle_t *handle) {
  Process *p = container_of((uv_poll_t *)handle, Process, exit);
  p->user.open_handles--;
  free_if_done(p);
}

static void stop_watching(Process *p) {
  uv_close((uv_handle_t *)&p->exit, on_exit_closed);
  close(p->pidfd);
  p->pidfd = -1;
}

/* Has it ended? `flags`: WNOWAIT to leave it to be reaped. */
static bool has_ended(const Process *p, int flags, siginfo_t *info) {
  int rc;
  info->si_pid = 0;
  do rc = waitid(P_PIDFD, (id_t)p->pidfd, info, WEXITED | WNOHANG | flags);
  while (rc && errno == EINTR);
  if (rc) info->si_code = 0; /* somebody else has reaped it */
  return rc || info->si_pid;
}

static void note_exit(Process *p, const siginfo_t *info) {
  p->exited = true;
  if (info->si_code == CLD_EXITED)
    p->code = info->si_status;
  else if (info->si_code)
    p->signal = info->si_status;
  else
    p->lost = true;
}

static void reap_kept(Process *p) {
  p->group_left = false;
  while (waitpid(p->pid, NULL, 0) < 0 && errno == EINTR) {
  }
}

static void on_exit_of(uv_poll_t *poll, int status, int events) {
  Process *p = container_of(poll, Process, exit);
  siginfo_t info;
  bool keep = p->keep_group && !p->asked;
  (void)status;
  (void)events;
  if (!has_ended(p, keep ? WNOWAIT : 0, &info)) return;
  note_exit(p, &info);
  p->group_left = keep && !p->lost;
  stop_watching(p);
  timer_clear(&p->rt->timers, &p->limit);
  process_pipe_close(&p->pipes[0]);
  if (p->asked && p->group) {
    on_group_look(&p->killer);
  } else {
    timer_clear(&p->rt->timers, &p->killer);
    read_rest(p);
  }
}

/* --- signals --- */

bool process_kill(Process *p, int signal) {
  if (p->exited && !p->group_left) return false;
  if (p->group)
    kill(-p->pid, signal);
  else
    pidfd_send_signal(p->pidfd, signal, NULL, 0);
  return true;
}

static void on_kill_due(Timer *timer) {
  process_kill(container_of(timer, Process, killer), SIGKILL);
}

/* What remains of its group after its own end. */
static void end_group(Process *p) {
  p->over = false;
  reap_kept(p);
  on_group_look(&p->killer);
}

void process_end(Process *p, ProcessReason reason) {
  if (p->asked || (p->exited && !p->group_left)) return;
  p->asked = true;
  if (!p->exited) p->reason = reason;
  timer_clear(&p->rt->timers, &p->limit);
  process_kill(p, SIGTERM);
  process_kill(p, SIGCONT); /* one that is stopped would not see the other */
  p->kill_at = in_seconds(p, p->kill_after);
  if (p->exited)
    end_group(p);
  else
    set_timer(p, &p->killer, p->kill_at, on_kill_due);
}

static void on_limit(Timer *timer) {
  Process *p = container_of(timer, Process, limit);
  siginfo_t info;
  if (!has_ended(p, WNOWAIT, &info)) process_end(p, PROCESS_TIMEOUT);
}

/* --- its owner's end --- */

static void close_ends(int fds[3]) {
  for (int i = 0; i < 3; i++) {
    if (fds[i] >= 0) close(fds[i]);
    fds[i] = -1;
  }
}

void process_release(Process *p) {
  close_ends(p->own_ends);
  for (int i = 0; i < 3; i++) process_pipe_close(&p->pipes[i]);
  process_end(p, PROCESS_ENDED);
  p->released = true;
  free_if_done(p);
}

static void wait_for_killed(Process *p) {
  struct pollfd exit = {.fd = p->pidfd, .events = POLLIN};
  siginfo_t info;
  while (poll(&exit, 1, LAST_WAIT_MS) < 0 && errno == EINTR) {
  }
  if (has_ended(p, 0, &info)) note_exit(p, &info);
  p->exited = true;
  stop_watching(p);
}

/* The runtime closes: no task is left to wait for anything. */
static void close_all(CloseHook *hook, Runtime *rt) {
  Processes *all = container_of(hook, Processes, close);
  for (Process *p = all->first; p; p = p->next) process_kill(p, SIGKILL);
  for (Process *p; (p = all->first);) {
    unlist(p);
    waiters_init(&p->line); /* tasks that did not end although they were cancelled */
    timer_clear(&rt->timers, &p->limit);
    if (p->group_left) reap_kept(p);
    if (!p->exited) wait_for_killed(p);
    be_over(p);
  }
  free(all);
}

/* --- its pipes --- */

static size_t on_output(ProcessPipeUser *user, size_t n) {
  Process *p = container_of(user, Process, user);
  size_t room = p->max_output - p->kept;
  /* What others of its kind print behind its end is not cut without a word. */
  if (n > room && p->exited && !p->reason) p->reason = PROCESS_LIMIT;
  if (n > room) process_end(p, PROCESS_LIMIT);
  if (n > room) n = room;
  p->kept += n;
  return n;
}

static void on_pipe_ended(ProcessPipeUser *user, ProcessPipe *pipe) {
  Process *p = container_of(user, Process, user);
  (void)pipe;
  if (p->grace.place && !output_is_open(p)) be_over(p);
}

static void on_pipe_closed(ProcessPipeUser *user) {
  free_if_done(container_of(user, Process, user));
}

int process_take_end(Process *p, int which) {
  int fd = p->own_ends[which];
  p->own_ends[which] = -1;
  return fd;
}

/* --- its start --- */

static int open_file(const char *path) {
  /* Not to wait for the reader of a named pipe. */
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0666);
  if (fd < 0) return -1;
  if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK) == 0) return fd;
  int error = errno;
  close(fd);
  errno = error;
  return -1;
}

/* Opens what the program gets as descriptor `i`, theirs[i], and our end of a pipe, ours[i]. */
static bool open_end(const ProcessOptions *options, int i, int ours[3], int theirs[3],
                     ProcessFailure *failure) {
  int error = 0;
  failure->step = PROCESS_PIPES;
  failure->end = i;
  switch (options->ends[i]) {
  case PROCESS_INHERIT:
    theirs[i] = i;
    break;
  case PROCESS_OUT:
    theirs[i] = theirs[1];
    break;
  case PROCESS_NULL:
    theirs[i] = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (theirs[i] < 0) error = errno;
    break;
  case PROCESS_FILE:
    failure->step = PROCESS_OPEN;
    theirs[i] = open_file(options->files[i]);
    if (theirs[i] < 0) error = errno;
    break;
  case PROCESS_TEXT:
  case PROCESS_STREAM:
    error = process_pipe_make(&ours[i], &theirs[i], i == 0);
    break;
  }
  failure->error = error;
  return error == 0;
}

static void kill_and_reap(pid_t pid) {
  kill(pid, SIGKILL);
  while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
  }
}

static int watch_exit(Process *p) {
  p->pidfd = pidfd_open(p->pid, 0); /* close-on-exec by itself */
  if (p->pidfd < 0) return errno;
  int rc = uv_poll_init(&p->rt->loop, &p->exit, p->pidfd);
  if (rc) {
    close(p->pidfd);
    return -rc;
  }
  p->user.open_handles++;
  rc = uv_poll_start(&p->exit, UV_READABLE, on_exit_of);
  if (rc) stop_watching(p);
  return -rc;
}

/* Our ends of its pipes; they belong to `p` from now on. */
static int watch_pipes(Process *p, const ProcessOptions *options, int ours[3]) {
  int rc = 0;
  for (int i = 0; i < 3; i++) {
    int fd = ours[i];
    ours[i] = -1;
    if (options->ends[i] != PROCESS_TEXT || rc) {
      p->own_ends[i] = fd;
      continue;
    }
    rc = i == 0 ? process_pipe_write(&p->pipes[0], &p->rt->loop, fd, options->text,
                                     options->text_size, &p->user)
                : process_pipe_read(&p->pipes[i], &p->rt->loop, fd, &p->user);
  }
  return -rc;
}

static Process *process_new(Runtime *rt, const ProcessOptions *options) {
  Processes *all = processes_of(rt);
  Process *p = all ? calloc(1, sizeof *p) : NULL;
  if (!p) return NULL;
  const char *file = options->spec.argv[0], *slash = strrchr(file, '/');
  snprintf(p->name, sizeof p->name, "%s", slash ? slash + 1 : file);
  p->rt = rt;
  p->pidfd = -1;
  p->group = options->spec.group;
  p->max_output = options->max_output;
  p->kill_after = options->kill_after;
  p->keep_group = options->spec.group && options->keep_group;
  p->user = (ProcessPipeUser){0, on_output, on_pipe_ended, on_pipe_closed};
  for (int i = 0; i < 3; i++) p->own_ends[i] = p->pipes[i].fd = -1;
  waiters_init(&p->line);
  list(p, all);
  return p;
}

static bool start(Process *p, const ProcessOptions *options, int ours[3], const int theirs[3],
                  ProcessFailure *failure) {
  SpawnSpec spec = options->spec;
  memcpy(spec.fds, theirs, sizeof spec.fds);
  failure->step = spawn_program(&spec, &p->pid, &failure->error);
  if (failure->step != SPAWN_DONE) return false;
  failure->step = PROCESS_WATCH;
  failure->error = watch_exit(p);
  if (failure->error) {
    kill_and_reap(p->pid);
    return false;
  }
  failure->error = watch_pipes(p, options, ours);
  if (failure->error) {
    stop_watching(p);
    kill_and_reap(p->pid);
    return false;
  }
  if (options->timeout < HUGE_VAL)
    set_timer(p, &p->limit, in_seconds(p, options->timeout), on_limit);
  return true;
}

Process *process_start(Runtime *rt, const ProcessOptions *options, ProcessFailure *failure) {
  int ours[3] = {-1, -1, -1}, theirs[3] = {-1, -1, -1};
  *failure = (ProcessFailure){PROCESS_PIPES, ENOMEM, 0};
  Process *p = rt->closing ? NULL : process_new(rt, options);
  if (!p) return NULL;
  bool ok = true;
  for (int i = 0; ok && i < 3; i++) ok = open_end(options, i, ours, theirs, failure);
  ok = ok && start(p, options, ours, theirs, failure);
  for (int i = 0; i < 3; i++)
    if (options->ends[i] == PROCESS_INHERIT || options->ends[i] == PROCESS_OUT) theirs[i] = -1;
  close_ends(theirs);
  close_ends(ours);
  if (ok) return p;
  p->exited = p->over = true;
  process_release(p);
  return NULL;
}
