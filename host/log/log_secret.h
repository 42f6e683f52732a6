/* Which fields are hidden. */
#ifndef ML_LOG_SECRET_H
#define ML_LOG_SECRET_H

#include <stdbool.h>
#include <stddef.h>

#define LOG_SECRET_SHOWN "(hidden)"

/* Is a field called so hidden? Its name has a word like "password", in any case and wherever it
   stands: "userPassword", "X-Api-Token". */
bool log_secret_is(const char *name, size_t n);

#endif
