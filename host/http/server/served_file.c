#include "http/server/served_file.h"

#include "base/archive.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Opening a FIFO must not wait for its other end, and a terminal must not become our controlling
   terminal. */
enum { OPEN_FLAGS = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY };

/* --- staying beneath a directory --- */

/* The path of an open file, as the kernel knows it. */
static bool path_of(int fd, char path[PATH_MAX]) {
  char link[32];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t n = readlink(link, path, PATH_MAX - 1);
  if (n <= 0) return false;
  path[n] = 0;
  return true;
}

static bool is_beneath(int root, int fd) {
  char above[PATH_MAX], path[PATH_MAX];
  if (!path_of(root, above) || !path_of(fd, path)) return false;
  size_t n = strlen(above);
  if (n == 1) return true; /* the root of the file system */
  return !strncmp(path, above, n) && (path[n] == '/' || path[n] == 0);
}

/* Used if the kernel cannot confine a lookup to a directory, or stopped at an absolute link, which
   may lead back into it: checks afterwards where the lookup led. */
static int open_and_look(int root, const char *path, int flags) {
  int fd = openat(root, path, flags);
  if (fd < 0) return -errno;
  if (is_beneath(root, fd)) return fd;
  close(fd);
  return -ENOENT;
}

static int open_beneath(int root, const char *path, int flags) {
  struct open_how how = {.flags = (unsigned)flags,
                         .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
  if (!*path) path = ".";
  long fd = syscall(SYS_openat2, root, path, &how, sizeof how);
  if (fd >= 0) return (int)fd;
  /* EAGAIN: something was being renamed; EPERM: some sandboxes say so for calls they do not know.
   */
  if (errno == EXDEV || errno == ENOSYS || errno == EPERM || errno == EAGAIN)
    return open_and_look(root, path, flags);
  return -errno;
}

static int open_root(const char *root) {
  int fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
  return fd < 0 ? -errno : fd;
}

/* --- files --- */

/* Takes `fd` over: fills `file`, or closes it. */
static int examine(int fd, ServedFile *file) {
  struct stat st;
  int rc = fstat(fd, &st)        ? -errno
           : S_ISREG(st.st_mode) ? 0
           : S_ISDIR(st.st_mode) ? -EISDIR
                                 : -EINVAL;
  if (rc) {
    close(fd);
    return rc;
  }
  *file = (ServedFile){.fd = fd,
                       .size = (uint64_t)st.st_size,
                       .modified = st.st_mtim.tv_sec,
                       .modified_ns = (uint32_t)st.st_mtim.tv_nsec,
                       .device = st.st_dev,
                       .inode = st.st_ino};
  return 0;
}

/* What is inside of the program has been found. */
static int take_inside(const ArchiveFile *inside, ServedFile *file) {
  if (!inside->data) return -EIO;
  *file = (ServedFile){
      .fd = -1, .inside = inside->data, .size = inside->size, .modified = archive_time()};
  memcpy(&file->hash, inside->hash, sizeof file->hash);
  return 0;
}

int served_file_open(const char *path, ServedFile *file) {
  ArchiveFile inside;
  if (archive_find(path, &inside)) return take_inside(&inside, file);
  int fd = open(path, OPEN_FLAGS);
  return fd < 0 ? -errno : examine(fd, file);
}

/* `path` is a directory: opens its index. */
static int open_index(int root, const char *path, const char *index, ServedFile *file) {
  char whole[PATH_MAX];
  if ((size_t)snprintf(whole, sizeof whole, "%s%s%s", path, *path ? "/" : "", index) >=
      sizeof whole)
    return -ENAMETOOLONG;
  int fd = open_beneath(root, whole, OPEN_FLAGS);
  int rc = fd < 0 ? fd : examine(fd, file);
  if (rc == -ENOENT) return -EISDIR;
  file->is_index = rc == 0;
  return rc;
}

/* The path of what is at `path` in the folder; false: it is too long. */
static bool join(char whole[PATH_MAX], const char *folder, const char *path) {
  int n = snprintf(whole, PATH_MAX, "%s%s%s", folder, *path ? "/" : "", path);
  return n >= 0 && n < PATH_MAX;
}

/* Looks inside of the program. -ENOENT: it is not there, -EISDIR: a folder is, without the index.
 */
static int open_inside(const char *root, const char *path, const char *index, ServedFile *file) {
  ArchiveFile inside;
  char whole[PATH_MAX];
  if (archive_find_below(root, path, &inside)) return take_inside(&inside, file);
  if (!join(whole, root, path)) return -ENOENT;
  if (!index || !archive_find_below(whole, index, &inside))
    return archive_has_folder(whole) ? -EISDIR : -ENOENT;
  int rc = take_inside(&inside, file);
  file->is_index = rc == 0;
  return rc;
}

static int open_on_disk(const char *root, const char *path, const char *index, ServedFile *file) {
  int above = open_root(root);
  if (above < 0) return above;
  int fd = open_beneath(above, path, OPEN_FLAGS);
  int rc = fd < 0 ? fd : examine(fd, file);
  if (rc == -EISDIR && index) rc = open_index(above, path, index, file);
  close(above);
  return rc;
}

int served_file_open_beneath(const char *root, const char *path, const char *index,
                             ServedFile *file) {
  int inside = archive_main() ? open_inside(root, path, index, file) : -ENOENT;
  if (inside != -ENOENT && inside != -EISDIR) return inside;
  int rc = open_on_disk(root, path, index, file);
  return rc == -ENOENT ? inside : rc;
}

int served_file_read(int fd, uint64_t offset, size_t size, Buffer *data) {
  if (!buffer_reserve(data, size)) return -ENOMEM;
  while (size) {
    ssize_t n = pread(fd, data->data + data->len, size, (off_t)offset);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return -errno;
    if (n == 0) break;
    data->len += (size_t)n;
    offset += (size_t)n;
    size -= (size_t)n;
  }
  return 0;
}

/* --- directories --- */

/* Links count as their targets; broken links count as files. */
static bool is_directory(int dir, const struct dirent *entry) {
  struct stat st;
  if (entry->d_type != DT_UNKNOWN && entry->d_type != DT_LNK) return entry->d_type == DT_DIR;
  return !fstatat(dir, entry->d_name, &st, 0) && S_ISDIR(st.st_mode);
}

static int compare_names(const void *a, const void *b) {
  return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Sorts the names in `data`. */
static int sort_names(Buffer *data, size_t from, size_t count) {
  char **names = malloc((count ? count : 1) * sizeof *names);
  Buffer sorted = {0};
  bool ok = names && buffer_reserve(&sorted, data->len - from);
  if (ok) {
    char *name = data->data + from;
    for (size_t i = 0; i < count; i++, name += strlen(name) + 1) names[i] = name;
    qsort(names, count, sizeof *names, compare_names);
    for (size_t i = 0; i < count; i++) buffer_add(&sorted, names[i], strlen(names[i]) + 1);
    if (sorted.len) memcpy(data->data + from, sorted.data, sorted.len);
  }
  free(names);
  buffer_free(&sorted);
  return ok ? 0 : -ENOMEM;
}

typedef struct Listing {
  Buffer *names;
  size_t count;
  bool dotfiles;
} Listing;

static bool add_inside(void *data, const char *name, bool is_folder) {
  Listing *l = data;
  if (*name == '.' && !l->dotfiles) return true;
  l->count++;
  return buffer_add(l->names, name, strlen(name)) &&
         (!is_folder || buffer_add_char(l->names, '/')) && buffer_add_char(l->names, 0);
}

bool served_file_is_directory(const char *path) {
  struct stat st;
  return archive_has_folder(path) || (!stat(path, &st) && S_ISDIR(st.st_mode));
}

int served_file_list(const char *root, const char *path, bool dotfiles, Buffer *names) {
  char whole[PATH_MAX];
  if (archive_main() && join(whole, root, path) && archive_has_folder(whole)) {
    Listing listing = {names, 0, dotfiles};
    size_t start = names->len;
    if (!archive_list(whole, add_inside, &listing)) return -ENOMEM;
    return sort_names(names, start, listing.count);
  }
  int above = open_root(root);
  if (above < 0) return above;
  int fd = open_beneath(above, path, OPEN_FLAGS | O_DIRECTORY);
  close(above);
  if (fd < 0) return fd;
  DIR *dir = fdopendir(fd);
  if (!dir) {
    int rc = -errno;
    close(fd);
    return rc;
  }
  size_t from = names->len, count = 0;
  int rc = 0;
  const struct dirent *entry;
  while (!rc && (entry = readdir(dir))) {
    const char *name = entry->d_name;
    if (!strcmp(name, ".") || !strcmp(name, "..") || (*name == '.' && !dotfiles)) continue;
    count++;
    if (!buffer_add(names, name, strlen(name)) ||
        (is_directory(fd, entry) && !buffer_add_char(names, '/')) || !buffer_add_char(names, 0))
      rc = -ENOMEM;
  }
  closedir(dir);
  return rc ? rc : sort_names(names, from, count);
}
