#include "http/client/curl_library.h"
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>

/* Belongs to the process, not to a runtime, as libcurl's own state is global, too. */
static CurlLibrary library;
static char failure[256];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void load(void) {
  void *handle = dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);
  if (!handle) {
    snprintf(failure, sizeof failure, "%s", dlerror());
    return;
  }
#define LOAD(name)                                                                                 \
  if (!(*(void **)&library.name = dlsym(handle, "curl_" #name))) {                                 \
    snprintf(failure, sizeof failure, "libcurl.so.4 has no curl_" #name);                          \
    return;                                                                                        \
  }
  CURL_FUNCTIONS(LOAD)
#undef LOAD
  CURLcode code = library.global_init(CURL_GLOBAL_DEFAULT);
  if (code) {
    snprintf(failure, sizeof failure, "curl_global_init: %s", library.easy_strerror(code));
  }
}

const CurlLibrary *curl_library(const char **error) {
  pthread_once(&once, load);
  if (!failure[0]) return &library;
  *error = failure;
  return NULL;
}
