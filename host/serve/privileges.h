/* Giving up what a service needs only to open its sockets: --user and --group of serve and work. */
#ifndef ML_PRIVILEGES_H
#define ML_PRIVILEGES_H

#include "serve/serve_sockets.h"

#include <stdbool.h>
#include <stddef.h>

/* Goes on as `user`, with that user's groups, or with `group` instead; either is a name or a
   number, or NULL. HOME, USER and LOGNAME become the user's, and so do the files of the Unix
   sockets that are open, for which there may be none. All threads of the process change, and
   neither they nor the programs that they start get more again (no_new_privs). False: `wrong` of
   `size` bytes says why, and the process must end. */
bool privileges_drop(const char *user, const char *group, const ServeSockets *sockets, char *wrong,
                     size_t size);

/* What a service is told that is left with all of them, though `user` is not root's own wish; NULL
   for others. */
const char *privileges_warning(const char *user);

#endif
