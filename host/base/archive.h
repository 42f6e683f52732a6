/* The archive of a program that `moonloop build` has made: the files of its app, in a section of
   the program. moonloop itself has none. scripts/moonloop/build/archive.lua writes what this reads,
   and says how it is laid out. */
#ifndef ML_ARCHIVE_H
#define ML_ARCHIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct ArchiveFile {
  const char *name;   /* "views/page.html"; "?shop.cart" is the module shop.cart */
  const char *source; /* the name of a chunk, "@shop/cart.lua"; "" for what is no Lua code */
  const char *data;   /* `size` bytes, for as long as the program runs */
  size_t size;
  const uint8_t *hash; /* ARCHIVE_HASH bytes of SHA-256 of the data */
} ArchiveFile;

enum { ARCHIVE_HASH = 16 };

/* Finds the archive. Call it once, before all others and before there are threads. NULL: it is
   whole, or there is none; otherwise what is wrong with it. */
const char *archive_open(void);

/* The name of the app's file; NULL: this is moonloop itself. */
const char *archive_main(void);

/* Finds a file by its path: relative, with or without "./" before it. False if it is not inside.
   Its bytes are checked the first time; `file->data` is NULL where they are not those that were put
   in. Any thread. */
bool archive_find(const char *path, ArchiveFile *file);

/* The same for what would be found below `folder`, by a path without "." and "..". */
bool archive_find_below(const char *folder, const char *path, ArchiveFile *file);

/* The same for the module `name`. */
bool archive_find_module(const char *name, ArchiveFile *file);

/* Is the path a folder that has files inside? That of the app itself is none: it is the working
   directory. */
bool archive_has_folder(const char *path);

/* Calls f for each entry of the folder inside, sorted by bytes, until it returns false. Returns
   false if it did. Any thread. */
bool archive_list(const char *path, bool (*f)(void *data, const char *name, bool is_folder),
                  void *data);

/* When the newest of the files was changed, or SOURCE_DATE_EPOCH of the build: seconds since 1970.
 */
int64_t archive_time(void);

#endif
