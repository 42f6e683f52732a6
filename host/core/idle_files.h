/* Files that stay open while a client is waited for, which takes a response slowly or sends an
   upload: a hundred streams of one HTTP/2 connection may hold one each. Where descriptors run
   short, those that were used least recently are closed, and their users open them again when they
   go on. */
#ifndef ML_IDLE_FILES_H
#define ML_IDLE_FILES_H

#include "core/names.h"
#include "core/report.h"

#include <stdbool.h>

/* Its owner uses it from the loop's thread, and from others only while it is not in the list. */
typedef struct IdleFile {
  struct IdleFile *next, **link; /* link: NULL, it is not in the list */
  int fd;                        /* -1: closed */
  int error;                     /* what closing it said, an errno, or 0 */
} IdleFile;

/* A part of the runtime: the one that was used least recently is the first. All zero: empty. */
typedef struct IdleFiles {
  IdleFile *first, **end;
  ReportCount lacks;
} IdleFiles;

/* Nobody uses the file from now on; does nothing for one that is closed. */
void idle_files_add(Runtime *rt, IdleFile *file);

/* It is used, or goes; does nothing for one that is not in the list. */
void idle_files_remove(Runtime *rt, IdleFile *file);

/* Closes up to `n`; returns how many. */
unsigned idle_files_close(Runtime *rt, unsigned n);

/* Opening a file on a thread has failed with this libuv error: may it be tried again? Another one
   was closed for it, or may be by then, since many are opened before the first of them is known to
   be idle. `tries` counts; 0 at first. */
bool idle_files_make_room(Runtime *rt, int error, unsigned *tries);

/* Is it one that tells of a lack? Then it is counted and reported, for a client that is refused. */
bool idle_files_lack(Runtime *rt, int error);

#endif
