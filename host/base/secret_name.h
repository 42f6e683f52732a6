/* Which values are never shown, by their names: in logs, traces and pages of errors. */
#ifndef ML_SECRET_NAME_H
#define ML_SECRET_NAME_H

#include <stdbool.h>
#include <stddef.h>

/* What is shown in place of a secret. */
#define SECRET_NAME_SHOWN "(hidden)"

/* Is what has this name secret? The name has a word like "password", in any case and wherever it
   stands ("userPassword", "X-Api-Token"), or is a short one like "auth". */
bool secret_name_is(const char *name, size_t n);

/* The same for a parameter of a URL's query, where words like "code" and "key", which mean much
   else in programs, carry what lets somebody in. */
bool secret_name_is_in_query(const char *name, size_t n);

#endif
