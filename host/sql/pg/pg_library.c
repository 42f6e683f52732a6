#include "sql/pg/pg_library.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>

static PgLibrary library;
static PgTls tls;
static char failure[256], tls_failure[256];
static pthread_once_t once = PTHREAD_ONCE_INIT, tls_once = PTHREAD_ONCE_INIT;

static void *open_library(const char *name, char why[256]) {
  void *handle = dlopen(name, RTLD_LAZY | RTLD_LOCAL);
  if (!handle) snprintf(why, 256, "%s", dlerror());
  return handle;
}

static void load(void) {
  void *handle = open_library("libpq.so.5", failure);
  if (!handle) return;
#define LOAD(name)                                                                                 \
  if (!(*(void **)&library.name = dlsym(handle, "PQ" #name))) {                                    \
    snprintf(failure, sizeof failure, "libpq.so.5 has no PQ" #name);                               \
    return;                                                                                        \
  }
  PG_FUNCTIONS(LOAD)
#undef LOAD
}

static void load_tls(void) {
  void *handle = open_library("libssl.so.3", tls_failure);
  if (!handle) return;
  static const struct {
    void *place;
    const char *name;
  } functions[] = {{&tls.read, "SSL_read"},
                   {&tls.write, "SSL_write"},
                   {&tls.get_error, "SSL_get_error"},
                   {&tls.clear_errors, "ERR_clear_error"}};
  for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
    void *found = dlsym(handle, functions[i].name);
    if (!found)
      snprintf(tls_failure, sizeof tls_failure, "libssl.so.3 has no %s", functions[i].name);
    *(void **)functions[i].place = found;
  }
}

const PgLibrary *pg_library(const char **error) {
  pthread_once(&once, load);
  if (!failure[0]) return &library;
  *error = failure;
  return NULL;
}

const PgTls *pg_library_tls(const char **error) {
  pthread_once(&tls_once, load_tls);
  if (!tls_failure[0]) return &tls;
  *error = tls_failure;
  return NULL;
}
