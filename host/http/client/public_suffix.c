#include "http/client/public_suffix.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stddef.h>

/* The functions of libpsl that are called: its header is not needed to build, and the library only
   for cookies with a Domain. */
static struct {
  void *(*latest)(const char *file);
  int (*is_public_suffix)(const void *list, const char *domain);
} library;

static void *list;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void load(void) {
  void *handle = dlopen("libpsl.so.5", RTLD_NOW | RTLD_LOCAL);
  if (!handle) return;
  *(void **)&library.latest = dlsym(handle, "psl_latest");
  *(void **)&library.is_public_suffix = dlsym(handle, "psl_is_public_suffix");
  if (library.latest && library.is_public_suffix) list = library.latest(NULL);
}

PublicSuffix public_suffix(const char *domain) {
  pthread_once(&once, load);
  if (!list) return PUBLIC_SUFFIX_UNKNOWN;
  return library.is_public_suffix(list, domain) ? PUBLIC_SUFFIX_YES : PUBLIC_SUFFIX_NO;
}
