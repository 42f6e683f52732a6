/* What is put into the binary beside the code: the Lua parts of the host (cmake/embed.cmake), and
   files for browsers and of new projects (cmake/pages.cmake). */
#ifndef ML_EMBEDDED_H
#define ML_EMBEDDED_H

#include <stddef.h>

typedef struct EmbeddedPart {
  const char *module;     /* the name for `require`: "moonloop.web" */
  const char *chunk_name; /* for tracebacks */
  const unsigned char *source;
  size_t size;
} EmbeddedPart;

/* Sorted by module. */
extern const EmbeddedPart embedded_parts[];
extern const size_t embedded_part_count;

typedef struct EmbeddedFile {
  const char *name;            /* "docs/swagger-ui.css" */
  const unsigned char *packed; /* compressed with brotli */
  size_t packed_size;
} EmbeddedFile;

/* The pages that show OpenAPI documents, and the inspector's page, which is packed apart since that
   is quick. Each ends with an entry whose name is NULL. */
extern const EmbeddedFile embedded_files[], embedded_inspector[];

#endif
