/* Giving up what a server needs only to open its sockets: `serve --user NAME --group NAME`. */
#ifndef ML_PRIVILEGES_H
#define ML_PRIVILEGES_H

#include <stdbool.h>
#include <stddef.h>

/* Goes on as `user`, with that user's groups, or with `group` instead; either is a name or a
   number, or NULL. HOME, USER and LOGNAME become the user's. All threads of the process change.
   False: `wrong` of `size` bytes says why, and the process must end. */
bool privileges_drop(const char *user, const char *group, char *wrong, size_t size);

#endif
