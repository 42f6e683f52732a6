/* `--metrics ADDR:PORT` of serve and work: a small HTTP server of its own for those who collect
   metrics: GET /metrics, one request a connection. With workers it is the supervisor's, which has
   no Lua.

   A page that a browser of this network shows might ask, too, by a name that its author has made
   lead here (DNS rebinding). So a request with an Origin is refused, and so is one whose Host is
   neither an address nor a name that is known to be this machine's. */
#ifndef ML_METRICS_LISTENER_H
#define ML_METRICS_LISTENER_H

#include "base/buffer.h"
#include "net/listen.h"

typedef struct MetricsClient MetricsClient;

typedef struct MetricsListener {
  ListenSocket socket;              /* fd -1: there is none */
  char name[LISTEN_NAME_MAX];       /* the host it was asked to listen on */
  char where[LISTEN_NAME_MAX + 48]; /* the URL of the metrics; "": it does not answer */
  /* Appends the metrics as text, of OpenMetrics if `open`. False: memory is out. */
  bool (*write)(void *data, Buffer *out, bool open);
  void *data;
  uv_tcp_t handle;
  bool is_open; /* `handle` */
  MetricsClient *first;
  unsigned count;
} MetricsListener;

/* Binds the socket, before privileges are given up. False: `wrong` of `size` bytes says why. */
bool metrics_listener_bind(MetricsListener *l, uv_loop_t *loop, const ListenAddress *address,
                           char *wrong, size_t size);

/* Answers from now on, with `write` and `data` set, without keeping the loop alive. Returns 0 or a
   libuv error. */
int metrics_listener_start(MetricsListener *l, uv_loop_t *loop);

/* Closes everything; the loop has to run until that is done. Harmless if it was not started. */
void metrics_listener_stop(MetricsListener *l);

/* The name under which the main runtime's registry keeps its listener, a light userdata. */
#define METRICS_LISTENER_KEY "moonloop.metrics_listener"

#endif
