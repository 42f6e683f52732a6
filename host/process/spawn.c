#include "process/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LONGEST_PATH 4096

/* With SIGCHLD ignored, as a parent may have left it, the system reaps children itself. */
static void keep_children(void) {
  struct sigaction now, plain = {.sa_handler = SIG_DFL};
  if (sigaction(SIGCHLD, NULL, &now)) return;
  if (now.sa_flags & SA_NOCLDWAIT) {
    now.sa_flags &= ~SA_NOCLDWAIT;
    if (now.sa_handler != SIG_IGN) plain = now;
  } else if (now.sa_handler != SIG_IGN) {
    return;
  }
  sigaction(SIGCHLD, &plain, NULL);
}

/* Opens the folder, so that what is wrong with it is not taken for a fault of the program. The dot
   asks for the permission to enter it. Returns a descriptor or -1 (errno). */
static int open_cwd(const char *cwd) {
  char inside[LONGEST_PATH];
  if ((size_t)snprintf(inside, sizeof inside, "%s/.", cwd) >= sizeof inside) {
    errno = ENAMETOOLONG;
    return -1;
  }
  return open(inside, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static bool is_file(int folder, const char *path) {
  struct stat about;
  return fstatat(folder, path, &about, 0) == 0 && S_ISREG(about.st_mode);
}

/* Finds the program as execvp does. False and errno: there is none. `found` has LONGEST_PATH
   bytes. */
static bool find(const char *name, const char *path, int folder, char *found) {
  bool denied = false;
  if (!*name) path = NULL;
  while (path) {
    const char *end = strchrnul(path, ':');
    int n = snprintf(found, LONGEST_PATH, "%.*s%s%s", (int)(end - path), path,
                     end > path ? "/" : "", name);
    if (n < LONGEST_PATH && is_file(folder, found)) {
      if (faccessat(folder, found, X_OK, AT_EACCESS) == 0) return true;
      denied = true;
    }
    path = *end ? end + 1 : NULL;
  }
  errno = denied ? EACCES : ENOENT;
  return false;
}

static int prepare_files(posix_spawn_file_actions_t *files, const SpawnSpec *spec, int folder) {
  int error = 0;
  if (folder >= 0) error = posix_spawn_file_actions_addfchdir_np(files, folder);
  /* Of 0, 1 and 2 only the same number is among the sources: nothing is overwritten before its
     turn. */
  for (int i = 0; !error && i < 3; i++)
    error = posix_spawn_file_actions_adddup2(files, spec->fds[i], i);
  /* Everything of ours is opened close-on-exec; what libraries open may not be. */
  if (!error) error = posix_spawn_file_actions_addclosefrom_np(files, 3);
  return error;
}

static int prepare_attributes(posix_spawnattr_t *attributes, const SpawnSpec *spec) {
  sigset_t all, none;
  sigfillset(&all);
  sigemptyset(&none);
  int flags = POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK;
  if (spec->group) flags |= POSIX_SPAWN_SETPGROUP; /* 0: one of its own */
  int error = posix_spawnattr_setflags(attributes, (short)flags);
  if (!error) error = posix_spawnattr_setsigdefault(attributes, &all);
  if (!error) error = posix_spawnattr_setsigmask(attributes, &none);
  return error;
}

static int start(const SpawnSpec *spec, const char *file, int folder, pid_t *pid) {
  posix_spawn_file_actions_t files;
  posix_spawnattr_t attributes;
  int error = posix_spawn_file_actions_init(&files);
  if (error) return error;
  if (!(error = posix_spawnattr_init(&attributes))) {
    if (!(error = prepare_files(&files, spec, folder)) &&
        !(error = prepare_attributes(&attributes, spec)))
      error = posix_spawn(pid, file, &files, &attributes, spec->argv, spec->env);
    posix_spawnattr_destroy(&attributes);
  }
  posix_spawn_file_actions_destroy(&files);
  return error;
}

static SpawnStep spawn_in(const SpawnSpec *spec, int folder, pid_t *pid, int *error) {
  char found[LONGEST_PATH];
  const char *file = spec->argv[0];
  int from = folder >= 0 ? folder : AT_FDCWD;
  if (!strchr(file, '/')) {
    if (!find(file, spec->path, from, found)) {
      *error = errno;
      return SPAWN_FIND;
    }
    file = found;
  }
  keep_children();
  *error = start(spec, file, folder, pid);
  if (!*error) return SPAWN_DONE;
  return *error == ENOENT && is_file(from, file) ? SPAWN_INTERPRETER : SPAWN_START;
}

SpawnStep spawn_program(const SpawnSpec *spec, pid_t *pid, int *error) {
  int folder = spec->cwd ? open_cwd(spec->cwd) : -1;
  if (spec->cwd && folder < 0) {
    *error = errno;
    return SPAWN_CWD;
  }
  SpawnStep step = spawn_in(spec, folder, pid, error);
  if (folder >= 0) close(folder);
  return step;
}
