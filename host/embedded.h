/* The Lua parts of the host, put into the binary by cmake/embed.cmake. */
#ifndef ML_EMBEDDED_H
#define ML_EMBEDDED_H

#include <stddef.h>

typedef struct EmbeddedPart {
  const char *module;     /* what `require` is given: "moonloop.web" */
  const char *chunk_name; /* for tracebacks */
  const unsigned char *source;
  size_t size;
} EmbeddedPart;

/* Ends with an entry whose module is NULL. */
extern const EmbeddedPart embedded_parts[];

#endif
