/* The pools of the HTTP client's libcurl engine: connections on curl's multi interface, driven by
   the loop. The exchanges on them are in curl_transfer.h.

   Everything here belongs to one runtime and its thread. Nothing enters Lua. */
#ifndef ML_CURL_POOL_H
#define ML_CURL_POOL_H

#include "core/runtime.h"
#include "http/client/curl_library.h"

typedef struct CurlPools CurlPools;
typedef struct CurlPool CurlPool;
typedef struct CurlSocket CurlSocket;
typedef struct CurlTransfer CurlTransfer;

/* How a pool treats its connections. The strings are copied. */
typedef struct CurlPoolOptions {
  long max_connections; /* in all; further requests wait for one, in order */
  long max_per_origin;  /* to one scheme, host and port; 0: no separate limit */
  long idle;            /* seconds after which a kept connection is not used again */
  const char *http_proxy,
      *https_proxy;            /* URL of the proxy for https:// or http:// URLs; NULL: none */
  const char *ca, *cert, *key; /* paths of PEM files, or PEM texts; or NULL */
  const char *no_proxy;        /* hosts that are reached directly, in curl's notation */
} CurlPoolOptions;

struct CurlPools {
  CloseHook close_hook;
  PassHook pass_hook;
  Runtime *rt;
  const CurlLibrary *curl;
  CurlPool *pools;
};

struct CurlPool {
  CurlPools *client;
  CurlPool *next, **link;
  CURLM *multi; /* NULL: closed */
  CurlPoolOptions options;
  CurlTransfer *transfers;         /* transfers that curl is working on */
  CurlTransfer *line, **line_tail; /* transfers that wait for their turn, in order */
  long running;                    /* how many transfers curl is working on */
  Timer timer;
  uint64_t wanted_timer; /* when curl wants to be called: nanoseconds, or TIMER_NEVER */
  uint64_t set_timer;    /* what `timer` is set to */
  bool due;              /* curl wants to be called at once */
  bool started;          /* curl will be called at the end of this pass */
  bool closing;          /* it closes when the last transfer has ended */
  CurlSocket **sockets;  /* by descriptor */
  int socket_slots;
};

/* The client of a runtime: its pools are closed when the runtime closes. NULL when memory is out.
   Freed with curl_pools_free after that, when no pool is left. */
CurlPools *curl_pools_new(Runtime *rt, const CurlLibrary *curl);
void curl_pools_free(CurlPools *client);

/* A pool of connections that are kept alive. NULL when memory is out. */
CurlPool *curl_pool_new(CurlPools *client, const CurlPoolOptions *options);

/* Closes the connections: idle ones at once, the others when their exchanges have ended. No
   transfer may be started after that. */
void curl_pool_close(CurlPool *pool);

/* Cancels the running transfers, closes the connections and frees the pool. */
void curl_pool_free(CurlPool *pool);

/* Queues a transfer: it gets its turn when the limits allow it, after earlier ones. */
void curl_pool_add(CurlPool *pool, CurlTransfer *transfer);

/* Removes a transfer, also from curl. */
void curl_pool_remove(CurlPool *pool, CurlTransfer *transfer);

/* Requests a call at the end of this pass, since curl has something to do. */
void curl_pool_drive_later(CurlPool *pool);

/* Sets the options of a transfer's handle: it uses the pool's sockets and proxies. */
void curl_pool_prepare(CurlPool *pool, CURL *easy, bool https);

#endif
