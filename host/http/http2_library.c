#include "http/http2_library.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>

static Http2Library library; /* the process's: the functions are the same for all */
static char failure[256];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void load(void) {
  void *handle = dlopen("libnghttp2.so.14", RTLD_NOW | RTLD_LOCAL);
  if (!handle) {
    snprintf(failure, sizeof failure, "%s", dlerror());
    return;
  }
#define LOAD(name)                                                                                 \
  if (!(*(void **)&library.name = dlsym(handle, #name)))                                           \
    snprintf(failure, sizeof failure, "libnghttp2.so.14 has no " #name);
  HTTP2_FUNCTIONS(LOAD)
#undef LOAD
}

const Http2Library *http2_library(const char **error) {
  pthread_once(&once, load);
  if (!failure[0]) return &library;
  *error = failure;
  return NULL;
}
