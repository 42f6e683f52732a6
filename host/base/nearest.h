/* The name that was probably meant, out of those that exist. */
#ifndef ML_NEAREST_H
#define ML_NEAREST_H

#include <stddef.h>

/* The one of the `n` names of which `name` is a misspelling: letters left out, added, changed or
   swapped, at most one in three, ignoring case. NULL if there is none. */
const char *nearest_name(const char *name, const char *const *names, size_t n);

#endif
