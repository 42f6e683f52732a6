/* The pools of the HTTP client's libcurl engine: connections on curl's multi interface, driven by
   the loop. The exchanges on them are http_transfer.h's.

   Everything here belongs to one runtime and its thread. Nothing enters Lua. */
#ifndef ML_HTTP_CLIENT_H
#define ML_HTTP_CLIENT_H

#include "curl_library.h"
#include "runtime.h"

typedef struct HttpClient HttpClient;
typedef struct HttpPool HttpPool;
typedef struct HttpSocket HttpSocket;
typedef struct HttpTransfer HttpTransfer;

/* How a pool treats its connections. The strings are copied. */
typedef struct HttpPoolOptions {
  long max_connections; /* in all; further requests wait for one, in order */
  long max_per_origin;  /* to one scheme, host and port; 0: no limit of its own */
  long idle;            /* seconds after which a kept connection is not used again */
  const char *http_proxy, *https_proxy; /* URL of the proxy for such URLs; NULL: none */
  const char *no_proxy;                 /* hosts that are asked without one, as curl writes them */
  bool cookies;                         /* keep the cookies of responses, and send them back */
} HttpPoolOptions;

struct HttpClient {
  CloseHook close_hook;
  PassHook pass_hook;
  Runtime *rt;
  const CurlLibrary *curl;
  HttpPool *pools;
};

struct HttpPool {
  HttpClient *client;
  HttpPool *next, **link;
  CURLM *multi;  /* NULL: closed */
  CURLSH *share; /* the cookies, or NULL */
  HttpPoolOptions options;
  HttpTransfer *transfers;         /* that curl works on */
  HttpTransfer *line, **line_tail; /* that wait for their turn, in order */
  long running;                    /* how many transfers curl works on */
  Timer timer;
  uint64_t wanted_timer; /* when curl wants to be called: nanoseconds, or TIMER_NEVER */
  uint64_t set_timer;    /* what `timer` is set to */
  bool due;              /* curl wants to be called at once */
  bool started;          /* curl is to be called at the end of this pass */
  bool closing;          /* it closes when the last transfer has ended */
  HttpSocket **sockets;  /* by descriptor */
  int socket_slots;
};

/* The client of a runtime: its pools are closed when the runtime closes. NULL when memory is out.
   Freed with http_client_free after that, when no pool is left. */
HttpClient *http_client_new(Runtime *rt, const CurlLibrary *curl);
void http_client_free(HttpClient *client);

/* A pool of connections that are kept alive. NULL when memory is out. */
HttpPool *http_pool_new(HttpClient *client, const HttpPoolOptions *options);

/* Closes the connections, at once those that are idle, the others when their exchanges have ended.
   No transfer may be started any more. */
void http_pool_close(HttpPool *pool);

/* Breaks the transfers off that still run, closes the connections and frees the pool. */
void http_pool_free(HttpPool *pool);

/* A transfer has its turn when the limits allow it, after those that came before. */
void http_pool_add(HttpPool *pool, HttpTransfer *transfer);

/* Takes a transfer out, also from curl. */
void http_pool_remove(HttpPool *pool, HttpTransfer *transfer);

/* Is to be called at the end of this pass: curl has something to do. */
void http_pool_drive_later(HttpPool *pool);

/* Options of a transfer's handle: its sockets are the pool's, and so are its proxies and cookies.
 */
void http_pool_prepare(HttpPool *pool, CURL *easy, bool https);

#endif
