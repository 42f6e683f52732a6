#include "http_lookup.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* What the thread works on; who lets go last frees it. */
typedef struct Question {
  atomic_int holders;
  int event; /* readable when there is an answer */
  int result;
  int system_error;
  struct addrinfo *found;
  char port[8];
  char host[];
} Question;

struct HttpLookup {
  uv_poll_t poll;
  Question *question;
  HttpLookedUp *done;
  void *data;
};

static void question_drop(Question *q) {
  if (atomic_fetch_sub(&q->holders, 1) > 1) return;
  if (q->found) freeaddrinfo(q->found);
  if (q->event >= 0) close(q->event);
  free(q);
}

static void *answer(void *data) {
  Question *q = data;
  const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
  q->result = getaddrinfo(q->host, q->port, &hints, &q->found);
  q->system_error = errno;
  while (eventfd_write(q->event, 1) && errno == EINTR) {
  }
  question_drop(q);
  return NULL;
}

/* A detached thread that gets none of the process's signals. */
static int start_thread(Question *q) {
  pthread_t thread;
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int error = pthread_create(&thread, NULL, answer, q);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (error) return uv_translate_sys_error(error);
  pthread_detach(thread);
  return 0;
}

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

static void on_closed(uv_handle_t *handle) {
  HttpLookup *lookup = (HttpLookup *)handle;
  question_drop(lookup->question);
  free(lookup);
}

static void on_answer(uv_poll_t *poll, int status, int events) {
  (void)events;
  HttpLookup *lookup = (HttpLookup *)poll;
  Question *q = lookup->question;
  eventfd_t n;
  if (status >= 0 && eventfd_read(q->event, &n)) return; /* not yet */
  if (status >= 0) status = status_of(q);
  lookup->done(lookup->data, status, status ? NULL : q->found);
  http_lookup_cancel(lookup);
}

int http_lookup_start(uv_loop_t *loop, const char *host, uint16_t port, HttpLookedUp *done,
                      void *data, HttpLookup **out) {
  size_t len = strlen(host) + 1;
  HttpLookup *lookup = calloc(1, sizeof *lookup);
  Question *q = calloc(1, sizeof *q + len);
  int error = UV_ENOMEM;
  if (!lookup || !q) goto failed;
  memcpy(q->host, host, len);
  snprintf(q->port, sizeof q->port, "%u", port);
  atomic_init(&q->holders, 1);
  q->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  error =
      q->event < 0 ? uv_translate_sys_error(errno) : uv_poll_init(loop, &lookup->poll, q->event);
  if (error) goto failed;
  lookup->question = q;
  lookup->done = done;
  lookup->data = data;
  error = uv_poll_start(&lookup->poll, UV_READABLE, on_answer);
  if (!error) {
    atomic_fetch_add(&q->holders, 1);
    error = start_thread(q);
    if (error) atomic_fetch_sub(&q->holders, 1);
  }
  if (error) {
    http_lookup_cancel(lookup);
    return error;
  }
  *out = lookup;
  return 0;

failed:
  if (q && q->event > 0) close(q->event);
  free(q);
  free(lookup);
  return error;
}

void http_lookup_cancel(HttpLookup *lookup) {
  if (!uv_is_closing((uv_handle_t *)&lookup->poll))
    uv_close((uv_handle_t *)&lookup->poll, on_closed);
}
