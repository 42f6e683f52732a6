#include "core/signal_listener.h"

#include "core/signals.h"

#include <stdlib.h>
#include <string.h>

struct SignalListener {
  Waker waiter;
  size_t n;    /* handles that have been started, each for one signal */
  size_t open; /* handles whose memory libuv still needs */
  size_t n_arrived;
  int *arrived; /* what came and was not taken, the oldest first; behind the handles */
  uv_signal_t handles[];
};

static bool has_arrived(const SignalListener *l, int signum) {
  for (size_t i = 0; i < l->n_arrived; i++)
    if (l->arrived[i] == signum) return true;
  return false;
}

static void on_signal(uv_signal_t *handle, int signum) {
  SignalListener *l = handle->data;
  if (has_arrived(l, signum)) return;
  l->arrived[l->n_arrived++] = signum;
  ml_wait_wake(l->waiter);
}

static void on_closed(uv_handle_t *handle) {
  SignalListener *l = handle->data;
  if (--l->open == 0) free(l);
}

SignalListener *signal_listener_open(Runtime *rt, const int *signums, size_t n, int *error) {
  size_t size = sizeof(SignalListener) + n * sizeof(uv_signal_t);
  SignalListener *l = calloc(1, size + n * sizeof(int));
  *error = l ? 0 : UV_ENOMEM;
  if (!l) return NULL;
  l->arrived = (int *)((char *)l + size);
  for (size_t i = 0; i < n; i++) {
    uv_signal_t *handle = &l->handles[i];
    *error = uv_signal_init(&rt->loop, handle);
    if (!*error) {
      handle->data = l;
      uv_unref((uv_handle_t *)handle);
      signals_listen(signums[i]);
      *error = uv_signal_start(handle, on_signal, signums[i]);
      if (*error) signals_listen_no_more(signums[i]);
      l->n += !*error;
      l->open++;
    }
    if (!*error) continue;
    if (!l->open)
      free(l);
    else
      signal_listener_close(l);
    return NULL;
  }
  return l;
}

void signal_listener_close(SignalListener *l) {
  size_t open = l->open;
  for (size_t i = 0; i < l->n; i++) {
    int signum = l->handles[i].signum;
    uv_signal_stop(&l->handles[i]);
    signals_listen_no_more(signum);
  }
  for (size_t i = 0; i < open; i++) uv_close((uv_handle_t *)&l->handles[i], on_closed);
}

int signal_listener_take(SignalListener *l) {
  if (!l->n_arrived) return 0;
  int signum = l->arrived[0];
  memmove(l->arrived, l->arrived + 1, --l->n_arrived * sizeof *l->arrived);
  signals_was_taken(signum);
  return signum;
}

void signal_listener_set_waiter(SignalListener *l, Waker waiter) {
  l->waiter = waiter;
  for (size_t i = 0; i < l->n; i++) {
    if (waiter.task)
      uv_ref((uv_handle_t *)&l->handles[i]);
    else
      uv_unref((uv_handle_t *)&l->handles[i]);
  }
}

bool signal_listener_is_waited_for(const SignalListener *l) { return l->waiter.task != NULL; }
