#include "net/tls_library.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>

/* The process's, as OpenSSL's own state is global, too. */
static TlsLibrary library;
static char failure[256];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void load(void) {
  void *handle = dlopen("libssl.so.3", RTLD_NOW | RTLD_LOCAL);
  if (!handle) {
    snprintf(failure, sizeof failure, "%s", dlerror());
    return;
  }
/* libssl's handle finds libcrypto's functions, too, since it needs them. */
#define LOAD(name)                                                                                 \
  if (!(*(void **)&library.name = dlsym(handle, #name)))                                           \
    snprintf(failure, sizeof failure, "libssl.so.3 has no " #name);
  TLS_FUNCTIONS(LOAD)
#undef LOAD
}

const TlsLibrary *tls_library(const char **error) {
  pthread_once(&once, load);
  if (!failure[0]) return &library;
  *error = failure;
  return NULL;
}
