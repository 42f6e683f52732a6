#include "serve/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Headers may be older than the kernel. */
#ifndef LANDLOCK_ACCESS_FS_REFER
#define LANDLOCK_ACCESS_FS_REFER (1ull << 13) /* version 2 */
#endif
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ull << 14) /* version 3 */
#endif

/* What may be done to a file, and in a folder. */
#define TO_FILE (LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_TRUNCATE)
#define IN_FOLDER                                                                                  \
  (LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_CHAR | \
   LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK |      \
   LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM |    \
   LANDLOCK_ACCESS_FS_REFER)

typedef struct Sandbox {
  int fd;
  uint64_t known; /* what this kernel can forbid */
} Sandbox;

static bool open_rules(Sandbox *s) {
  long version =
      syscall(SYS_landlock_create_ruleset, NULL, (size_t)0, LANDLOCK_CREATE_RULESET_VERSION);
  if (version < 0) return false;
  s->known = TO_FILE | IN_FOLDER | LANDLOCK_ACCESS_FS_EXECUTE;
  if (version < 3) s->known &= ~(uint64_t)LANDLOCK_ACCESS_FS_TRUNCATE;
  if (version < 2) s->known &= ~(uint64_t)LANDLOCK_ACCESS_FS_REFER;
  struct landlock_ruleset_attr rules = {.handled_access_fs = s->known};
  s->fd = (int)syscall(SYS_landlock_create_ruleset, &rules, sizeof rules, 0);
  return s->fd >= 0;
}

/* Allows `access` at `path` and below; not if there is no such path. */
static bool allow(Sandbox *s, const char *path, uint64_t access) {
  int fd = open(path, O_PATH | O_CLOEXEC);
  if (fd < 0) return true;
  struct landlock_path_beneath_attr rule = {.allowed_access = access & s->known, .parent_fd = fd};
  long rc = syscall(SYS_landlock_add_rule, s->fd, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
  close(fd);
  return rc == 0;
}

/* Allows to write in the folders of a variable: "/var/lib/a:/var/lib/b". */
static bool allow_listed(Sandbox *s, const char *variable) {
  const char *list = getenv(variable);
  char path[PATH_MAX];
  bool ok = true;
  for (const char *at = list; ok && at && *at; at += *at == ':') {
    size_t n = strcspn(at, ":");
    snprintf(path, sizeof path, "%.*s", (int)n, at);
    ok = allow(s, path, TO_FILE | IN_FOLDER);
    at += n;
  }
  return ok;
}

static bool allow_all(Sandbox *s) {
  static const char *const folders[] = {".", "/tmp", "/var/tmp"};
  static const char *const lists[] = {"TMPDIR", "STATE_DIRECTORY", "CACHE_DIRECTORY",
                                      "LOGS_DIRECTORY", "RUNTIME_DIRECTORY"};
  bool ok = allow(s, "/dev/null", TO_FILE);
  for (size_t i = 0; ok && i < sizeof folders / sizeof *folders; i++)
    ok = allow(s, folders[i], TO_FILE | IN_FOLDER);
  for (size_t i = 0; ok && i < sizeof lists / sizeof *lists; i++) ok = allow_listed(s, lists[i]);
  return ok;
}

bool sandbox_enter(char *wrong, size_t size) {
  Sandbox s = {.fd = -1};
  bool ok = open_rules(&s) && allow_all(&s) && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
            syscall(SYS_landlock_restrict_self, s.fd, 0) == 0;
  int error = errno;
  if (s.fd >= 0) close(s.fd);
  if (ok) return true;
  snprintf(wrong, size, "serve: --sandbox: the kernel refuses it: %s",
           error == ENOSYS       ? "it has no Landlock (Linux 5.13 or later is needed)"
           : error == EOPNOTSUPP ? "Landlock is turned off (see its boot option lsm=)"
                                 : strerror(error));
  return false;
}
