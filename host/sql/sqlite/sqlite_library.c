#include "sql/sqlite/sqlite_library.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>

/* The one thing that is the process's and not a runtime's: libsqlite3's own state is global, too.
 */
static SqliteLibrary library;
static char failure[256];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void load(void) {
  void *handle = dlopen("libsqlite3.so.0", RTLD_NOW | RTLD_LOCAL);
  if (!handle) {
    snprintf(failure, sizeof failure, "%s", dlerror());
    return;
  }
#define LOAD(name)                                                                                 \
  if (!(*(void **)&library.name = dlsym(handle, "sqlite3_" #name))) {                              \
    snprintf(failure, sizeof failure,                                                              \
             "libsqlite3.so.0 has no sqlite3_" #name ": SQLite 3.38 or newer is needed");          \
    return;                                                                                        \
  }
  SQLITE_FUNCTIONS(LOAD)
#undef LOAD
  if (!library.threadsafe())
    snprintf(failure, sizeof failure, "libsqlite3.so.0 was built without threads");
}

const SqliteLibrary *sqlite_library(const char **error) {
  pthread_once(&once, load);
  if (!failure[0]) return &library;
  *error = failure;
  return NULL;
}
