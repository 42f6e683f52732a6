/* The part of moonloop.h that makes a runtime with all modules for a program that embeds the host.
   The rest is in host/core/embed.c. */
#include "bindings/modules.h"
#include "core/remote.h"
#include "core/runtime.h"

ml_Runtime *ml_runtime_new(void) {
  Runtime *rt = runtime_new(modules_open);
  if (rt && !remote_of(rt)) { /* ml_stop could not make it: it may run in a signal handler */
    runtime_close(rt);
    return NULL;
  }
  return rt;
}
