/* Against DNS rebinding: a page that a browser of this network shows may ask a server of this
   machine by a name that the page's author has made lead here. */
#ifndef ML_OWN_HOST_H
#define ML_OWN_HOST_H

#include <stdbool.h>
#include <stddef.h>

/* Is the `n` bytes of a header Host, with or without a port, something that nobody else can have
   made lead here: an address, "localhost" or a name below it? */
bool own_host_is(const char *value, size_t n);

/* Is it the host `name`, or the name of this machine? For servers that other machines ask, who know
   no other names of it. */
bool own_host_is_named(const char *value, size_t n, const char *name);

#endif
