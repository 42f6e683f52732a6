#include "schema/schema_pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <dlfcn.h>
#include <pcre2.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

/* Steps for one text: some 20 ms, and less for a short text, of which a body has many. */
#define STEPS_MAX 1000000
#define STEPS_SHORT 50000
#define STEPS_BYTE 100 /* more for each byte */
/* Characters that take as long as a step, where a part of the pattern moves over many. */
#define STEP_CHARACTERS 8
/* Memory of one match, in kB. */
#define HEAP_LIMIT 4096

/* The library counts the calls of its matcher from each start anew, and not what a call moves over:
   [a-z]+@ takes the square of the length of a text of letters. So a match is only tried with few
   calls, uncounted, where that is not long: at a single start, or in a short text. Otherwise we are
   called before each part of the pattern, and count. */
#define QUICK_SIZE 64
#define QUICK_ANCHORED 32                         /* calls, from the only start */
#define QUICK_CALLS(size) (4 + 64 / ((size) + 1)) /* from each start */

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
  X(set_callout)                                                                                   \
  X(pattern_info)                                                                                  \
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
  pcre2_code *code, *counted; /* the second calls us before each part */
  pcre2_match_context *context;
  pcre2_match_data *data;
  bool is_anchored, has_references;
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
  if (pattern->counted) library.code_free(pattern->counted);
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
  uint32_t options =
      PCRE2_UTF | PCRE2_DOLLAR_ENDONLY | PCRE2_MATCH_UNSET_BACKREF | PCRE2_NEVER_BACKSLASH_C;
  pattern->code = library.compile((PCRE2_SPTR)text, size, options, &code, &at, compiling);
  if (pattern->code)
    pattern->counted = library.compile((PCRE2_SPTR)text, size, options | PCRE2_AUTO_CALLOUT, &code,
                                       &at, compiling);
  library.compile_context_free(compiling);
  if (!pattern->counted) {
    char why[160] = "";
    library.get_error_message(code, (PCRE2_UCHAR *)why, sizeof why);
    return fail(pattern, error, room, why);
  }
  pattern->context = library.match_context_create(NULL);
  pattern->data = library.match_data_create(1, NULL);
  if (!pattern->context || !pattern->data) return fail(pattern, error, room, "out of memory");
  library.set_heap_limit(pattern->context, HEAP_LIMIT);
  uint32_t implied = 0, references = 0;
  library.pattern_info(pattern->code, PCRE2_INFO_ALLOPTIONS, &implied);
  library.pattern_info(pattern->code, PCRE2_INFO_BACKREFMAX, &references);
  pattern->is_anchored = implied & PCRE2_ANCHORED;
  pattern->has_references = references > 0;
  return pattern;
}

/* --- matching --- */

static int64_t steps_for(size_t size) {
  size_t most = (STEPS_MAX - STEPS_SHORT) / STEPS_BYTE;
  return size >= most ? STEPS_MAX : STEPS_SHORT + (int64_t)size * STEPS_BYTE;
}

typedef struct Count {
  int64_t left;
  size_t at; /* in the text, of the part before */
  bool has_references;
} Count;

/* Called before each part of the pattern. */
static int count_step(pcre2_callout_block *now, void *data) {
  Count *c = data;
  size_t at = now->current_position;
  size_t moved = at > c->at ? at - c->at : 0;
  /* A reference may have compared as much as there is. */
  if (c->has_references) moved = at > now->start_match ? at - now->start_match : moved;
  c->left -= 1 + (int64_t)(moved / STEP_CHARACTERS);
  c->at = at;
  return c->left > 0 ? 0 : PCRE2_ERROR_CALLOUT;
}

static int match(const SchemaPattern *pattern, const pcre2_code *code, const char *s, size_t size) {
  return library.match(code, (PCRE2_SPTR)s, size, 0, 0, pattern->data, pattern->context);
}

/* Returns the library's result; PCRE2_ERROR_MATCHLIMIT where that would take longer. */
static int match_quickly(const SchemaPattern *pattern, const char *s, size_t size) {
  if (!pattern->is_anchored && size > QUICK_SIZE) return PCRE2_ERROR_MATCHLIMIT;
  library.set_match_limit(pattern->context,
                          pattern->is_anchored ? QUICK_ANCHORED : (uint32_t)QUICK_CALLS(size));
  return match(pattern, pattern->code, s, size);
}

static int match_counted(const SchemaPattern *pattern, const char *s, size_t size, int64_t *steps) {
  int64_t most = steps_for(size);
  Count count = {.left = most, .has_references = pattern->has_references};
  library.set_match_limit(pattern->context, UINT32_MAX);
  library.set_callout(pattern->context, count_step, &count);
  int result = match(pattern, pattern->counted, s, size);
  library.set_callout(pattern->context, NULL, NULL);
  *steps += most - count.left;
  return result;
}

bool schema_pattern_matches(const SchemaPattern *pattern, const char *s, size_t size,
                            int64_t *steps) {
  int result = match_quickly(pattern, s, size);
  if (result == PCRE2_ERROR_MATCHLIMIT) result = match_counted(pattern, s, size, steps);
  return result >= 0; /* 0: it matches, and has more groups than the data has room for */
}
