#include "fs/folder_list.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The character for the file type in `mode`. */
static char letter_of(mode_t mode) {
  switch (mode & S_IFMT) {
  case S_IFREG:
    return 'f';
  case S_IFDIR:
    return 'd';
  case S_IFLNK:
    return 'l';
  case S_IFIFO:
    return 'p';
  case S_IFSOCK:
    return 's';
  case S_IFCHR:
    return 'c';
  case S_IFBLK:
    return 'b';
  default:
    return '?';
  }
}

/* Links are not followed. */
static char type_of(int folder, const struct dirent *entry) {
  struct stat about;
  if (entry->d_type != DT_UNKNOWN) return letter_of(DTTOIF(entry->d_type));
  if (fstatat(folder, entry->d_name, &about, AT_SYMLINK_NOFOLLOW)) return '?';
  return letter_of(about.st_mode);
}

static bool is_dots(const char *name) {
  return name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2]));
}

static bool read_entries(DIR *folder, FsStop *stop, Buffer *to, size_t *count, FsFailure *failure) {
  const struct dirent *entry;
  while (errno = 0, (entry = readdir(folder))) {
    if (fs_failure_stopped(failure, stop)) return false;
    if (is_dots(entry->d_name)) continue;
    if (!buffer_add_char(to, type_of(dirfd(folder), entry)) ||
        !buffer_add(to, entry->d_name, strlen(entry->d_name) + 1))
      return fs_failure_set_error(failure, ENOMEM, "list", NULL);
    ++*count;
  }
  return !errno || fs_failure_set(failure, "list", NULL);
}

static int by_name(const void *a, const void *b) {
  return strcmp(*(char *const *)a + 1, *(char *const *)b + 1);
}

/* Sorts the `count` entries at the end of `to`, from `start` on. */
static bool sort_entries(Buffer *to, size_t start, size_t count) {
  Buffer sorted = {0};
  const char **list = malloc((count + 1) * sizeof *list);
  bool ok = list && buffer_reserve(&sorted, to->len - start);
  if (ok) {
    const char *at = to->data + start;
    for (size_t i = 0; i < count; i++, at += strlen(at) + 1) list[i] = at;
    qsort(list, count, sizeof *list, by_name);
    for (size_t i = 0; i < count; i++) buffer_add(&sorted, list[i], strlen(list[i]) + 1);
    memcpy(to->data + start, sorted.data, sorted.len);
  }
  free(list);
  buffer_free(&sorted);
  return ok;
}

bool folder_list_read(const char *path, FsStop *stop, Buffer *entries, FsFailure *failure) {
  size_t start = entries->len, count = 0;
  int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return fs_failure_set(failure, "list", NULL);
  DIR *folder = fdopendir(fd);
  if (!folder) {
    fs_failure_set(failure, "list", NULL);
    close(fd);
    return false;
  }
  bool ok = read_entries(folder, stop, entries, &count, failure);
  closedir(folder);
  if (ok && count && !sort_entries(entries, start, count))
    return fs_failure_set_error(failure, ENOMEM, "list", NULL);
  return ok;
}
