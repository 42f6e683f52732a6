/* The default options of a pool. */
#include "executor/pool.h"

#define MAX_THREADS_SHARED 40
#define IDLE_TIMEOUT 10.0
#define QUEUE 1024
#define NICE 10 /* a ninth of the loop's weight if they compete for a core */

void pool_options_default(PoolOptions *options, bool shared) {
  int threads = (int)uv_available_parallelism();
  *options = (PoolOptions){.threads = threads,
                           .max_threads = threads,
                           .idle_timeout = IDLE_TIMEOUT,
                           .queue = QUEUE,
                           .max_message = TRANSFER_MAX_BYTES,
                           .nice = NICE};
  if (shared && threads < MAX_THREADS_SHARED) options->max_threads = MAX_THREADS_SHARED;
}
