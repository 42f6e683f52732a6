#include "net/lookup.h"

#include "core/report.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct Lookups Lookups;

/* A name to look up, for all listeners that need it. */
typedef struct Question {
  struct Question *next, **link; /* among those in the same state */
  Lookups *all;
  Lookup *lookups; /* the loop's thread only */
  enum { WAITS, ASKED, ANSWERED } state;
  int result, system_error; /* of ANSWERED */
  const char *closed;       /* the same: it failed, and this file could not be read; or NULL */
  struct addrinfo *found;
  char host[];
} Question;

struct Lookup {
  Question *question; /* NULL: the runtime has closed */
  Lookup *next, **link;
  LookedUp *done;
  void *data;
};

typedef struct Questions {
  Question *first, **last; /* where the next one is appended */
} Questions;

/* The look-ups of a runtime. Lives until the runtime has closed and the last thread has ended. */
struct Lookups {
  CloseHook close;
  uv_async_t async;
  Runtime *rt;
  size_t listeners; /* look-ups that are not over: the loop's thread only, as is the next one */
  bool has_warned;

  uv_mutex_t lock; /* protects what follows */
  unsigned threads;
  bool closed, gone; /* the runtime; and its handle */
  Questions line, asked, answered;
};

/* --- lists --- */

static void list_init(Questions *list) {
  list->first = NULL;
  list->last = &list->first;
}

static void list_add(Questions *list, Question *q) {
  q->next = NULL;
  q->link = list->last;
  *list->last = q;
  list->last = &q->next;
}

static void list_remove(Questions *list, Question *q) {
  *q->link = q->next;
  *(q->next ? &q->next->link : &list->last) = q->link;
}

static Question *list_find(const Questions *list, const char *host) {
  Question *q = list->first;
  while (q && strcmp(q->host, host) != 0) q = q->next;
  return q;
}

static void question_free(Question *q) {
  if (q->found) freeaddrinfo(q->found);
  free(q);
}

static void lookups_free(Lookups *all) {
  uv_mutex_destroy(&all->lock);
  free(all);
}

/* --- the threads --- */

/* Which of the files that say whom to ask may we not read? The C library goes on without, and says
   nothing. A sandbox knows files, not names: a new one in its place is none that it has opened. */
static const char *find_closed(void) {
  static const char *const paths[] = {"/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf"};
  for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
    int fd = open(paths[i], O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 && errno == EACCES) return paths[i];
    if (fd >= 0) close(fd);
  }
  return NULL;
}

static void ask(Question *q) {
  const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
  q->result = getaddrinfo(q->host, NULL, &hints, &q->found);
  q->system_error = errno;
  if (!q->result) return;
  q->found = NULL;
  q->closed = find_closed();
}

/* Takes the next question from the queue. Under the lock. */
static Question *take(Lookups *all) {
  Question *q = all->closed ? NULL : all->line.first;
  if (!q) return NULL;
  list_remove(&all->line, q);
  list_add(&all->asked, q);
  q->state = ASKED;
  return q;
}

/* Under the lock, since the handle must not be closed meanwhile. */
static void tell(Lookups *all, Question *q) {
  list_remove(&all->asked, q);
  if (all->closed) {
    question_free(q);
    return;
  }
  list_add(&all->answered, q);
  q->state = ANSWERED;
  uv_async_send(&all->async);
}

/* A thread: works until the queue is empty. */
static void *work(void *data) {
  Lookups *all = data;
  uv_mutex_lock(&all->lock);
  for (Question *q; (q = take(all));) {
    uv_mutex_unlock(&all->lock);
    ask(q);
    uv_mutex_lock(&all->lock);
    tell(all, q);
  }
  bool is_last = --all->threads == 0 && all->gone;
  uv_mutex_unlock(&all->lock);
  if (is_last) lookups_free(all);
  return NULL;
}

/* Starts a detached thread that gets none of the process's signals. Under the lock. */
static int start_thread(Lookups *all) {
  pthread_t thread;
  sigset_t every, before;
  sigfillset(&every);
  pthread_sigmask(SIG_SETMASK, &every, &before);
  int error = pthread_create(&thread, NULL, work, all);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (error) return uv_translate_sys_error(error);
  pthread_detach(thread);
  all->threads++;
  return 0;
}

/* --- the loop's side --- */

static int status_of(const Question *q) {
  switch (q->result) {
  case 0:
    return q->found ? 0 : UV_EAI_NODATA;
  case EAI_AGAIN:
    return UV_EAI_AGAIN;
  case EAI_MEMORY:
    return UV_EAI_MEMORY;
  case EAI_NONAME:
    return UV_EAI_NONAME;
  case EAI_NODATA:
    return UV_EAI_NODATA;
  case EAI_SYSTEM:
    return uv_translate_sys_error(q->system_error);
  default:
    return UV_EAI_FAIL;
  }
}

/* Called when a listener was added or removed. */
static void count_listeners(Lookups *all, size_t n) {
  all->listeners = n;
  if (n)
    uv_ref((uv_handle_t *)&all->async);
  else
    uv_unref((uv_handle_t *)&all->async);
}

static void listen_to(Lookup *lookup, Question *q) {
  lookup->question = q;
  lookup->next = NULL;
  lookup->link = &q->lookups; /* in the order in which they asked */
  while (*lookup->link) lookup->link = &(*lookup->link)->next;
  *lookup->link = lookup;
  count_listeners(q->all, q->all->listeners + 1);
}

static void stop_listening(Lookup *lookup) {
  Lookups *all = lookup->question->all;
  *lookup->link = lookup->next;
  if (lookup->next) lookup->next->link = lookup->link;
  count_listeners(all, all->listeners - 1);
}

static void warn(Lookups *all, const char *closed) {
  if (all->has_warned) return;
  all->has_warned = true;
  report_sayf(
      all->rt, LOG_WARN,
      "names are looked up without %s, which may not be read. If it has been replaced since "
      "this process entered its --sandbox: restart or reload it",
      closed);
}

/* Calls all listeners, which may start or cancel others. */
static void deliver(Question *q) {
  int status = status_of(q);
  if (q->closed) warn(q->all, q->closed);
  for (Lookup *lookup; (lookup = q->lookups);) {
    LookedUp *done = lookup->done;
    void *data = lookup->data;
    stop_listening(lookup);
    free(lookup);
    done(data, status, status ? NULL : q->found);
  }
  question_free(q);
}

static Question *take_answered(Lookups *all) {
  uv_mutex_lock(&all->lock);
  Question *q = all->answered.first;
  if (q) list_remove(&all->answered, q);
  uv_mutex_unlock(&all->lock);
  return q;
}

static void on_async(uv_async_t *async) {
  Lookups *all = container_of(async, Lookups, async);
  for (Question *q; (q = take_answered(all));) deliver(q);
}

static void on_closed(uv_handle_t *handle) {
  Lookups *all = container_of((uv_async_t *)handle, Lookups, async);
  uv_mutex_lock(&all->lock);
  all->gone = true;
  bool is_last = !all->threads;
  uv_mutex_unlock(&all->lock);
  if (is_last) lookups_free(all);
}

/* The remaining listeners are not called. */
static void forget(Questions *list, bool free_them) {
  for (Question *q = list->first, *next; q; q = next) {
    next = q->next;
    for (Lookup *lookup = q->lookups; lookup; lookup = lookup->next) lookup->question = NULL;
    q->lookups = NULL;
    if (free_them) question_free(q);
  }
}

static void close_lookups(CloseHook *hook, Runtime *rt) {
  (void)rt;
  Lookups *all = container_of(hook, Lookups, close);
  uv_mutex_lock(&all->lock);
  all->closed = true;
  forget(&all->line, true);
  forget(&all->answered, true);
  forget(&all->asked, false); /* their threads own them */
  uv_mutex_unlock(&all->lock);
  uv_close((uv_handle_t *)&all->async, on_closed);
}

static Lookups *lookups_new(Runtime *rt) {
  Lookups *all = calloc(1, sizeof *all);
  if (!all) return NULL;
  all->close.close = close_lookups;
  all->rt = rt;
  list_init(&all->line);
  list_init(&all->asked);
  list_init(&all->answered);
  if (uv_mutex_init(&all->lock)) {
    free(all);
    return NULL;
  }
  if (uv_async_init(&rt->loop, &all->async, on_async)) {
    lookups_free(all);
    return NULL;
  }
  uv_unref((uv_handle_t *)&all->async);
  ml_runtime_on_close(rt, &all->close);
  return all;
}

/* The runtime's look-ups, made on first use and found again by their close hook. */
static Lookups *lookups_of(Runtime *rt) {
  for (CloseHook *hook = rt->close_hooks; hook; hook = hook->next)
    if (hook->close == close_lookups) return container_of(hook, Lookups, close);
  return lookups_new(rt);
}

static Question *question_new(Lookups *all, const char *host) {
  size_t len = strlen(host) + 1;
  Question *q = calloc(1, sizeof *q + len);
  if (!q) return NULL;
  memcpy(q->host, host, len);
  q->all = all;
  return q;
}

/* Queues a question, and makes sure that a thread takes it. Under the lock. Returns 0 or a libuv
   error, in which case it is not queued. */
static int put_in_line(Lookups *all, Question *q) {
  int error = all->threads < LOOKUP_MOST ? start_thread(all) : 0;
  if (error && !all->threads) return error;
  list_add(&all->line, q);
  return 0;
}

/* Finds the question for `host` that is under way, or begins one. Returns 0 or a libuv error. */
static int find_question(Lookups *all, const char *host, Question **out) {
  int error = 0;
  uv_mutex_lock(&all->lock);
  Question *q = list_find(&all->asked, host);
  if (!q) q = list_find(&all->line, host);
  if (!q) {
    q = question_new(all, host);
    error = q ? put_in_line(all, q) : UV_ENOMEM;
    if (error) {
      free(q);
      q = NULL;
    }
  }
  uv_mutex_unlock(&all->lock);
  *out = q;
  return error;
}

int lookup_start(Runtime *rt, const char *host, LookedUp *done, void *data, Lookup **out) {
  Lookups *all = lookups_of(rt);
  Lookup *lookup = all ? malloc(sizeof *lookup) : NULL;
  if (!lookup) return UV_ENOMEM;
  *lookup = (Lookup){.done = done, .data = data};
  Question *q;
  int error = find_question(all, host, &q);
  if (error) {
    free(lookup);
    return error;
  }
  listen_to(lookup, q);
  *out = lookup;
  return 0;
}

void lookup_cancel(Lookup *lookup) {
  Question *q = lookup->question;
  if (q) {
    Lookups *all = q->all;
    stop_listening(lookup);
    uv_mutex_lock(&all->lock);
    bool is_over = !q->lookups && q->state == WAITS;
    if (is_over) list_remove(&all->line, q);
    uv_mutex_unlock(&all->lock);
    if (is_over) question_free(q);
  }
  free(lookup);
}
