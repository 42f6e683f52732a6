/* What a client accepts: lists of names with weights (RFC 9110 section 12.4.2). */
#ifndef ML_ACCEPT_H
#define ML_ACCEPT_H

#include <stddef.h>

enum { ACCEPT_WHOLE = 1000 }; /* thousandths: the weight of a name without one */

/* Reads a weight, "0.5" or "1", at `*at`, and moves that behind it. Thousandths; -1: malformed. */
int accept_weight(const char **at, const char *end);

/* The weight that the `n` bytes of a header Accept (section 12.5.1) give to the media type `type`
   by its name, in thousandths; the largest of several. 0: none, or it is refused. `accept` may be
   NULL if `n` is 0. */
int accept_media(const char *accept, size_t n, const char *type);

#endif
