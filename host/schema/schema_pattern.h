/* Patterns: those of ECMA-262, by libpcre2-8, which is loaded when the first one is compiled; and
   Lua's, by a matcher that counts its steps. Both are bounded: a text that takes too long does not
   match. */
#ifndef ML_SCHEMA_PATTERN_H
#define ML_SCHEMA_PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct SchemaPattern SchemaPattern;

/* Compiles a pattern that is written as PCRE2 has it. NULL after a failure, which `error` (of
   `room` bytes) says. */
SchemaPattern *schema_pattern_new(const char *pattern, size_t size, char *error, size_t room);

void schema_pattern_free(SchemaPattern *pattern);

/* Does the pattern match somewhere in the text? The steps that this takes, beyond the few that most
   patterns take, are added to `*steps`. */
bool schema_pattern_matches(const SchemaPattern *pattern, const char *s, size_t size,
                            int64_t *steps);

/* The same of a Lua pattern without captures. False, too, where it is malformed. */
bool schema_pattern_lua_matches(const char *pattern, size_t pattern_size, const char *s,
                                size_t size, int64_t *steps);

#endif
