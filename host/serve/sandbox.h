/* `--sandbox` of serve and work: what a process that runs an app may not do any more, whatever
   happens to it. Linux enforces it (Landlock, landlock(7)); no thread of it and no process that it
   starts gets out.

   - Files can be written, made, renamed and removed only below the working directory, in a folder
   for temporary files of its own, in those that systemd has made for the service (STATE_DIRECTORY
   and its like), and where it was told.
   - Files can be read there, and where a program has its code, libraries and their settings: below
   /usr and the folder of the app, for instance, and by name in /etc. Homes, the data and the
   settings of others are closed. A file that takes the place of one that is open by name is closed,
   too: the kernel knows files, not names.
   - No program can be executed, and none of the calls of syscall_filter.h be made.
   - Of root's capabilities two are left: those to pass over the permissions of files, and to listen
   below port 1024.
   - No privileges can be gained (no_new_privs), nothing can be mounted, and no process outside can
   be traced, nor, from Linux 6.12 on, signalled or reached by an abstract socket. */
#ifndef ML_SANDBOX_H
#define ML_SANDBOX_H

#include "serve/syscall_filter.h"
#include "serve/temp_folder.h"

#include <stdbool.h>
#include <stddef.h>

/* What is opened besides. */
typedef struct SandboxPaths {
  const char *app;                        /* the file: its folder is read */
  const char *const *read;                /* files and folders, which have to exist */
  const char *const *write;               /* the same */
  const char *const *certs, *const *keys; /* files: their folders are read, where new ones come */
  int n_read, n_write, n_certs, n_keys;
  const TempFolder *temp; /* its own */
  SyscallFilter filter;   /* others that may be signalled may be reached by abstract sockets, too */
} SandboxPaths;

/* Enters it; before threads are started, which it would not hold. False: `wrong` of `size` bytes
   says which path is not there, or why the kernel refuses, and nothing must be served. */
bool sandbox_enter(const SandboxPaths *paths, char *wrong, size_t size);

#endif
