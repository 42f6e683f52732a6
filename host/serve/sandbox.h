/* `serve --sandbox`: what a process that runs an app may not do any more, whatever happens to it.
   Linux enforces it (Landlock, landlock(7)); no thread of it and no process that it starts gets
   out.

   - Files can be written, made, renamed and removed only below the working directory, in the
   folders for temporary files, and in those that systemd has made for the service (STATE_DIRECTORY
   and its like). Reading is limited by permissions alone.
   - No program can be executed.
   - No privileges can be gained (no_new_privs), nothing can be mounted, and no process outside can
   be traced. */
#ifndef ML_SANDBOX_H
#define ML_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>

/* Enters it; before threads are started, which it would not hold. False: `wrong` of `size` bytes
   says why the kernel refuses, and nothing must be served. */
bool sandbox_enter(char *wrong, size_t size);

#endif
