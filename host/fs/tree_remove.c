#include "fs/tree_remove.h"

#include "base/buffer.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A folder that has been entered. One descriptor is open at a time, however deep they are: the way
   back is "..", which has to lead to the folder that we came from. */
typedef struct Entered {
  dev_t device;
  ino_t inode;
  size_t path_len; /* of the path of the folder, in Removal.path */
  size_t name;     /* where its name is in there */
} Entered;

typedef struct Removal {
  int root; /* the folder that has the one to be removed */
  DIR *at;  /* the folder that is being emptied */
  Entered *entered;
  size_t depth, room;
  Buffer path; /* of the folder, for messages, with a NUL */
  FsStop *stop;
  FsFailure *failure;
} Removal;

typedef enum Found { FOUND_NOTHING, FOUND_FOLDER, FOUND_FAILURE } Found;

/* The failure is that of `name` in the folder, or (NULL) of the folder itself. */
static bool fail_at(Removal *r, const char *call, const char *name) {
  int error = errno;
  char *path = NULL;
  size_t n = r->path.len ? strlen(r->path.data) : 0;
  if (name && (path = malloc(n + strlen(name) + 2))) {
    memcpy(path, r->path.data, n);
    path[n] = '/';
    strcpy(path + n + 1, name);
  }
  fs_failure_set_error(r->failure, error, call, path ? path : r->path.data);
  free(path);
  return false;
}

static bool note_folder(Removal *r, int fd, const char *name) {
  struct stat about;
  if (fstat(fd, &about)) return fail_at(r, "stat", name);
  if (r->depth == r->room) {
    size_t room = r->room ? 2 * r->room : 16;
    Entered *more = realloc(r->entered, room * sizeof *more);
    if (!more) return fs_failure_set_error(r->failure, ENOMEM, "open", NULL);
    r->entered = more;
    r->room = room;
  }
  Entered *entered = &r->entered[r->depth];
  *entered = (Entered){about.st_dev, about.st_ino, .name = 0};
  if (r->depth) {
    r->path.data[r->path.len - 1] = '/';
    entered->name = r->path.len;
    if (!buffer_add(&r->path, name, strlen(name) + 1)) {
      r->path.data[r->path.len - 1] = '\0';
      return fs_failure_set_error(r->failure, ENOMEM, "open", NULL);
    }
  }
  entered->path_len = r->path.len;
  r->depth++;
  return true;
}

/* Goes to the folder that is open as `fd`, which is taken over. */
static bool change_to(Removal *r, int fd) {
  DIR *folder = fdopendir(fd);
  if (!folder) {
    fail_at(r, "list", NULL);
    close(fd);
    return false;
  }
  if (r->at) closedir(r->at);
  r->at = folder;
  return true;
}

/* Enters a folder of the present one (or of the root), unless it is a link by now. */
static bool enter(Removal *r, const char *name) {
  int from = r->at ? dirfd(r->at) : r->root;
  int fd = openat(from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return fail_at(r, "open", r->depth ? name : NULL);
  if (note_folder(r, fd, name)) return change_to(r, fd);
  close(fd);
  return false;
}

static bool is_dots(const char *name) {
  return name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2]));
}

/* Removes what is not a folder. Stops at the first that is one, whose name is then in `name`. */
static Found empty_files(Removal *r, char name[static NAME_MAX + 1]) {
  const struct dirent *entry;
  while (errno = 0, (entry = readdir(r->at))) {
    if (fs_failure_stopped(r->failure, r->stop)) return FOUND_FAILURE;
    if (is_dots(entry->d_name)) continue;
    bool is_folder = entry->d_type == DT_DIR;
    if (!is_folder && unlinkat(dirfd(r->at), entry->d_name, 0)) {
      is_folder = errno == EISDIR;
      if (!is_folder && errno != ENOENT) {
        fail_at(r, "unlink", entry->d_name);
        return FOUND_FAILURE;
      }
    }
    if (!is_folder) continue;
    memcpy(name, entry->d_name, strlen(entry->d_name) + 1);
    return FOUND_FOLDER;
  }
  if (!errno) return FOUND_NOTHING;
  fail_at(r, "list", NULL);
  return FOUND_FAILURE;
}

/* Goes back to the folder around the present one, which must be the one we came from. */
static bool go_back(Removal *r) {
  const Entered *outer = &r->entered[r->depth - 2];
  struct stat about;
  int fd = openat(dirfd(r->at), "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return fail_at(r, "open", "..");
  if (fstat(fd, &about) || about.st_dev != outer->device || about.st_ino != outer->inode) {
    close(fd);
    errno = EBUSY; /* somebody has moved it */
    return fail_at(r, "remove", NULL);
  }
  return change_to(r, fd);
}

/* Removes the present folder, which is empty, from the one around it. */
static bool leave(Removal *r, const char *base) {
  bool is_first = r->depth == 1;
  if (!is_first && !go_back(r)) return false;
  const Entered *entered = &r->entered[r->depth - 1];
  const char *name = is_first ? base : r->path.data + entered->name;
  if (unlinkat(is_first ? r->root : dirfd(r->at), name, AT_REMOVEDIR) && errno != ENOENT)
    return fail_at(r, "rmdir", NULL);
  if (--r->depth) {
    r->path.len = r->entered[r->depth - 1].path_len;
    r->path.data[r->path.len - 1] = '\0';
  }
  return true;
}

static bool remove_folder(Removal *r, const char *base) {
  char name[NAME_MAX + 1];
  if (!enter(r, base)) return false;
  while (r->depth) {
    Found found = empty_files(r, name);
    if (found == FOUND_FAILURE) return false;
    if (found == FOUND_NOTHING && !leave(r, base)) return false;
    if (found == FOUND_FOLDER && !enter(r, name)) {
      if (r->failure->error != ENOENT) return false;
      free(r->failure->path);
      *r->failure = (FsFailure){0};
    }
  }
  return true;
}

/* The path is a copy without slashes at its end, with room to be cut. */
static bool remove_split(char *path, bool recursive, FsStop *stop, FsFailure *failure) {
  char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
  if (!*base || is_dots(base)) return fs_failure_set_error(failure, EINVAL, "remove", NULL);
  if (unlink(path) == 0) return true;
  if (errno != EISDIR) return fs_failure_set(failure, "unlink", NULL);
  if (!recursive) return rmdir(path) == 0 || fs_failure_set(failure, "rmdir", NULL);
  Removal r = {.root = -1, .stop = stop, .failure = failure};
  bool ok = buffer_add(&r.path, path, strlen(path) + 1) ||
            fs_failure_set_error(failure, ENOMEM, "remove", NULL);
  if (ok) {
    if (slash) *slash = '\0';
    const char *folder = !slash ? "." : slash == path ? "/" : path;
    r.root = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    ok = r.root >= 0 ? remove_folder(&r, base) : fs_failure_set(failure, "open", folder);
  }
  if (r.at) closedir(r.at);
  if (r.root >= 0) close(r.root);
  free(r.entered);
  buffer_free(&r.path);
  return ok;
}

bool tree_remove(const char *path, bool recursive, FsStop *stop, FsFailure *failure) {
  char *copy = strdup(path);
  if (!copy) return fs_failure_set_error(failure, ENOMEM, "remove", NULL);
  for (size_t n = strlen(copy); n > 1 && copy[n - 1] == '/';) copy[--n] = '\0';
  bool ok = remove_split(copy, recursive, stop, failure);
  free(copy);
  return ok;
}
