#include "jwt/crypto_library.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>

/* The process's, as libcrypto's own state is global, too. */
static CryptoLibrary library;
static char failure[256];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void load(void) {
  void *handle = dlopen("libcrypto.so.3", RTLD_NOW | RTLD_LOCAL);
  if (!handle) {
    snprintf(failure, sizeof failure, "%s", dlerror());
    return;
  }
#define LOAD(name)                                                                                 \
  if (!(*(void **)&library.name = dlsym(handle, #name)))                                           \
    snprintf(failure, sizeof failure, "libcrypto.so.3 has no " #name);
  CRYPTO_FUNCTIONS(LOAD)
#undef LOAD
}

const CryptoLibrary *crypto_library(const char **error) {
  pthread_once(&once, load);
  if (!failure[0]) return &library;
  *error = failure;
  return NULL;
}
