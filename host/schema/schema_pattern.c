#include "schema/schema_pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <dlfcn.h>
#include <pcre2.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

/* Calls of the matcher for one text: a fraction of a second on any machine, and less for a short
   text, of which a body has many. */
#define MATCH_LIMIT 1000000
#define MATCH_LIMIT_SHORT 50000
#define MATCH_LIMIT_BYTE 100 /* more for each byte */
/* Memory of one match, in kB. */
#define HEAP_LIMIT 4096

#define FUNCTIONS(X)                                                                               \
  X(compile_context_create)                                                                        \
  X(compile_context_free)                                                                          \
  X(set_compile_extra_options)                                                                     \
  X(compile)                                                                                       \
  X(code_free)                                                                                     \
  X(get_error_message)                                                                             \
  X(match_context_create)                                                                          \
  X(match_context_free)                                                                            \
  X(set_match_limit)                                                                               \
  X(set_heap_limit)                                                                                \
  X(match_data_create)                                                                             \
  X(match_data_free)                                                                               \
  X(match)

#define JOIN_(a, b) a##b##_8
#define JOIN(name) JOIN_(pcre2_, name)
#define MEMBER(name) __typeof__(JOIN(name)) *name;

/* The process's, as the library is. */
static struct { FUNCTIONS(MEMBER) } library;
static char failure[256];
static pthread_once_t once = PTHREAD_ONCE_INIT;

struct SchemaPattern {
  pcre2_code *code;
  pcre2_match_context *context;
  pcre2_match_data *data;
};

static void load(void) {
  void *handle = dlopen("libpcre2-8.so.0", RTLD_NOW | RTLD_LOCAL);
  if (!handle) {
    snprintf(failure, sizeof failure, "%s", dlerror());
    return;
  }
#define LOAD(name)                                                                                 \
  if (!(*(void **)&library.name = dlsym(handle, "pcre2_" #name "_8")))                             \
    snprintf(failure, sizeof failure, "libpcre2-8.so.0 has no pcre2_" #name "_8");
  FUNCTIONS(LOAD)
#undef LOAD
}

void schema_pattern_free(SchemaPattern *pattern) {
  if (!pattern) return;
  if (pattern->data) library.match_data_free(pattern->data);
  if (pattern->context) library.match_context_free(pattern->context);
  if (pattern->code) library.code_free(pattern->code);
  free(pattern);
}

static SchemaPattern *fail(SchemaPattern *pattern, char *error, size_t room, const char *why) {
  snprintf(error, room, "%s", why);
  schema_pattern_free(pattern);
  return NULL;
}

SchemaPattern *schema_pattern_new(const char *text, size_t size, char *error, size_t room) {
  pthread_once(&once, load);
  if (failure[0]) return fail(NULL, error, room, failure);
  SchemaPattern *pattern = calloc(1, sizeof *pattern);
  pcre2_compile_context *compiling = pattern ? library.compile_context_create(NULL) : NULL;
  if (!compiling) return fail(pattern, error, room, "out of memory");
  int code = 0;
  size_t at = 0;
  pattern->code = library.compile((PCRE2_SPTR)text, size,
                                  PCRE2_UTF | PCRE2_DOLLAR_ENDONLY | PCRE2_MATCH_UNSET_BACKREF |
                                      PCRE2_NEVER_BACKSLASH_C,
                                  &code, &at, compiling);
  library.compile_context_free(compiling);
  if (!pattern->code) {
    char why[160] = "";
    library.get_error_message(code, (PCRE2_UCHAR *)why, sizeof why);
    return fail(pattern, error, room, why);
  }
  pattern->context = library.match_context_create(NULL);
  pattern->data = library.match_data_create(1, NULL);
  if (!pattern->context || !pattern->data) return fail(pattern, error, room, "out of memory");
  library.set_heap_limit(pattern->context, HEAP_LIMIT);
  return pattern;
}

static uint32_t limit_for(size_t size) {
  size_t most = (MATCH_LIMIT - MATCH_LIMIT_SHORT) / MATCH_LIMIT_BYTE;
  return size >= most ? MATCH_LIMIT : MATCH_LIMIT_SHORT + (uint32_t)size * MATCH_LIMIT_BYTE;
}

/* The library does not say how many calls a match took. So it is tried with few, which are not
   counted, and then with more. */
#define FEWER 512
#define MORE 4

bool schema_pattern_matches(const SchemaPattern *pattern, const char *s, size_t size,
                            int64_t *steps) {
  uint32_t most = limit_for(size), limit = most / FEWER;
  int result;
  for (;; limit = limit > most / MORE ? most : limit * MORE) {
    library.set_match_limit(pattern->context, limit);
    result =
        library.match(pattern->code, (PCRE2_SPTR)s, size, 0, 0, pattern->data, pattern->context);
    if (limit > most / FEWER) *steps += limit;
    if (result != PCRE2_ERROR_MATCHLIMIT || limit == most) break;
  }
  return result >= 0; /* 0: it matches, and has more groups than the data has room for */
}
