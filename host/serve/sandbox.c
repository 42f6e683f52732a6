#include "serve/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Headers may be older than the kernel. */
#ifndef LANDLOCK_ACCESS_FS_REFER
#define LANDLOCK_ACCESS_FS_REFER (1ull << 13) /* version 2 */
#endif
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ull << 14) /* version 3 */
#endif

/* What may be done to a file, and in a folder. A device that root makes would lead out. */
#define TO_READ LANDLOCK_ACCESS_FS_READ_FILE
#define TO_WRITE (LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_TRUNCATE)
#define IN_READ (TO_READ | LANDLOCK_ACCESS_FS_READ_DIR)
#define IN_WRITE                                                                                   \
  (TO_WRITE | LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |                     \
   LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK |      \
   LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_SYM | LANDLOCK_ACCESS_FS_REFER)
#define NOWHERE                                                                                    \
  (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_BLOCK)

typedef struct Sandbox {
  int fd;
  uint64_t known; /* what this kernel can forbid */
  bool is_all;    /* '/' was to be opened, and with it everything */
} Sandbox;

/* landlock_ruleset_attr of version 6 (Linux 6.12). */
typedef struct Rules {
  uint64_t files, net, scoped;
} Rules;
#define OUTSIDE_ABSTRACT_SOCKETS (1ull << 0)
#define OUTSIDE_SIGNALS (1ull << 1)

/* `others`: it may ask and interrupt other processes of its user. */
static bool open_rules(Sandbox *s, bool others) {
  long version =
      syscall(SYS_landlock_create_ruleset, NULL, (size_t)0, LANDLOCK_CREATE_RULESET_VERSION);
  if (version < 0) return false;
  s->known = IN_READ | IN_WRITE | NOWHERE;
  if (version < 3) s->known &= ~(uint64_t)LANDLOCK_ACCESS_FS_TRUNCATE;
  if (version < 2) s->known &= ~(uint64_t)LANDLOCK_ACCESS_FS_REFER;
  Rules rules = {s->known, 0, others ? 0 : OUTSIDE_ABSTRACT_SOCKETS | OUTSIDE_SIGNALS};
  size_t size = version < 6 ? offsetof(Rules, net) : sizeof rules;
  s->fd = (int)syscall(SYS_landlock_create_ruleset, &rules, size, 0);
  return s->fd >= 0;
}

static bool is_root(const struct stat *about) {
  struct stat root;
  return stat("/", &root) == 0 && root.st_ino == about->st_ino && root.st_dev == about->st_dev;
}

/* Allows `access` at `path` and below. ENOENT and its like: there is no such path. */
static bool allow_existing(Sandbox *s, const char *path, uint64_t access) {
  struct stat about;
  int fd = open(path, O_PATH | O_CLOEXEC);
  if (fd < 0) return false;
  /* The kernel takes for a file only what can be done to one. */
  bool is_known = fstat(fd, &about) == 0;
  if (is_known && !S_ISDIR(about.st_mode)) access &= TO_READ | TO_WRITE;
  if (!is_known || is_root(&about)) {
    s->is_all = is_known;
    close(fd);
    errno = EPERM;
    return false;
  }
  struct landlock_path_beneath_attr rule = {.allowed_access = access & s->known, .parent_fd = fd};
  long rc = syscall(SYS_landlock_add_rule, s->fd, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
  int error = errno;
  close(fd);
  errno = error;
  return rc == 0;
}

/* The same for a path that need not exist. */
static bool allow(Sandbox *s, const char *path, uint64_t access) {
  return allow_existing(s, path, access) || errno == ENOENT || errno == ENOTDIR ||
         errno == EACCES || errno == ELOOP || errno == ENAMETOOLONG;
}

/* Allows it in the folder of `path`, and in that of the file that it leads to. */
static bool allow_beside(Sandbox *s, const char *path, uint64_t access) {
  char folder[PATH_MAX], real[PATH_MAX];
  const char *places[] = {path, realpath(path, real)};
  for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
    if (!places[i]) continue;
    const char *slash = strrchr(places[i], '/');
    int n = slash ? (int)(slash - places[i]) + 1 : 1;
    snprintf(folder, sizeof folder, "%.*s", n, slash ? places[i] : ".");
    if (!allow(s, folder, access)) return false;
  }
  return true;
}

/* Allows it for the entries of a variable, "/var/lib/a:/var/lib/b", which end at `separator`, or at
   the '/' before a '?': "/a/?.lua". */
static bool allow_listed(Sandbox *s, const char *variable, char separator, uint64_t access) {
  const char ends[] = {separator, '\0'};
  const char *list = getenv(variable);
  char path[PATH_MAX];
  bool ok = true;
  for (const char *at = list; ok && at && *at; at += *at != '\0') { /* over the separator */
    size_t n = strcspn(at, ends);
    snprintf(path, sizeof path, "%.*s", (int)n, at);
    at += n;
    char *mark = strchr(path, '?');
    if (mark) *mark = '\0';
    char *slash = mark ? strrchr(path, '/') : NULL;
    if (mark) *(slash ? slash + 1 : path) = '\0';
    ok = !*path || allow(s, path, access);
  }
  return ok;
}

/* What a program needs to know. */
static bool allow_system(Sandbox *s) {
  static const char *const paths[] = {
      /* its libraries, and the machine */
      "/usr", "/lib", "/lib32", "/lib64", "/bin", "/proc/self", "/proc/stat", "/proc/meminfo",
      "/proc/cpuinfo", "/proc/loadavg", "/proc/uptime", "/proc/version", "/proc/filesystems",
      "/sys/devices/system", "/sys/fs/cgroup", "/sys/kernel/mm", "/dev/null", "/dev/zero",
      "/dev/full", "/dev/random", "/dev/urandom", "/proc/self/exe",
      /* the settings of the kernel that are asked for: among the others are keys */
      "/proc/sys/kernel/ngroups_max", "/proc/sys/kernel/osrelease", "/proc/sys/kernel/random",
      "/proc/sys/kernel/rtsig-max", "/proc/sys/vm/overcommit_memory",
      "/proc/sys/net/core/somaxconn", "/proc/sys/crypto/fips_enabled",
      /* the C library's settings, of /etc, where others have their passwords and keys */
      "/etc/ld.so.cache", "/etc/localtime", "/etc/timezone", "/etc/locale.alias", "/etc/passwd",
      "/etc/group", "/etc/nsswitch.conf", "/etc/hosts", "/etc/host.conf", "/etc/resolv.conf",
      "/etc/gai.conf", "/etc/networks", "/etc/protocols", "/etc/services", "/etc/os-release",
      "/etc/mime.types",
      /* OpenSSL's, and certificates of authorities: Debian's, Alpine's and SUSE's, Fedora's */
      "/etc/ssl/openssl.cnf", "/etc/ssl/certs", "/etc/ssl/cert.pem", "/etc/ssl/ca-bundle.pem",
      "/etc/ca-certificates", "/var/lib/ca-certificates", "/etc/pki/tls/openssl.cnf",
      "/etc/pki/tls/certs", "/etc/pki/tls/cert.pem", "/etc/pki/ca-trust", "/etc/crypto-policies",
      /* libpq's and Kerberos' */
      "/etc/postgresql-common/pg_service.conf", "/etc/krb5.conf", "/etc/krb5.conf.d", "/etc/gss",
      /* where resolv.conf leads to, as folders, since new files take its place there */
      "/run/systemd/resolve", "/run/resolvconf"};
  static const struct {
    const char *name;
    char separator;
  } lists[] = {{"LUA_PATH", ';'},
               {"LUA_PATH_5_4", ';'},
               {"LUA_CPATH", ';'},
               {"LUA_CPATH_5_4", ';'},
               {"LD_LIBRARY_PATH", ':'},
               {"OPENSSL_CONF", '\0'},
               {"SSL_CERT_FILE", '\0'},
               {"SSL_CERT_DIR", ':'},
               {"KRB5_CONFIG", ':'},
               {"PGSERVICEFILE", '\0'},
               {"PGSYSCONFDIR", '\0'},
               {"PGPASSFILE", '\0'},
               {"PGSSLROOTCERT", '\0'},
               {"PGSSLCERT", '\0'},
               {"PGSSLKEY", '\0'},
               {"CREDENTIALS_DIRECTORY", ':'},
               {"CONFIGURATION_DIRECTORY", ':'}};
  bool ok = true;
  for (size_t i = 0; ok && i < sizeof paths / sizeof *paths; i++) ok = allow(s, paths[i], IN_READ);
  for (size_t i = 0; ok && i < sizeof lists / sizeof *lists; i++)
    ok = allow_listed(s, lists[i].name, lists[i].separator, IN_READ);
  return ok;
}

/* Where the app may write. */
static bool allow_writing(Sandbox *s, const TempFolder *temp) {
  static const char *const lists[] = {"STATE_DIRECTORY", "CACHE_DIRECTORY", "LOGS_DIRECTORY",
                                      "RUNTIME_DIRECTORY"};
  bool ok = allow(s, ".", IN_READ | IN_WRITE) && allow(s, "/dev/null", TO_READ | TO_WRITE);
  /* It removes its own folder at the end, and could remove empty ones beside it. */
  if (ok && *temp->path)
    ok = allow(s, temp->path, IN_READ | IN_WRITE) &&
         allow(s, temp->beside, LANDLOCK_ACCESS_FS_REMOVE_DIR);
  for (size_t i = 0; ok && i < sizeof lists / sizeof *lists; i++)
    ok = allow_listed(s, lists[i], ':', IN_READ | IN_WRITE);
  return ok;
}

/* What it was told. `*lost` is a path that is not there. */
static bool allow_given(Sandbox *s, const SandboxPaths *paths, const char **lost) {
  bool ok = !paths->app || allow_beside(s, paths->app, IN_READ);
  for (int i = 0; ok && i < paths->n_certs; i++) ok = allow_beside(s, paths->certs[i], IN_READ);
  for (int i = 0; ok && i < paths->n_keys; i++) ok = allow_beside(s, paths->keys[i], IN_READ);
  for (int i = 0; ok && i < paths->n_read; i++)
    if (!(ok = allow_existing(s, paths->read[i], IN_READ))) *lost = paths->read[i];
  for (int i = 0; ok && i < paths->n_write; i++)
    if (!(ok = allow_existing(s, paths->write[i], IN_READ | IN_WRITE))) *lost = paths->write[i];
  return ok;
}

/* Of what root may do, what is left can reach only what Landlock leaves open, or is a port. */
static bool drop_capabilities(void) {
  const uint32_t kept = 1u << CAP_DAC_OVERRIDE | 1u << CAP_NET_BIND_SERVICE;
  struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct list[_LINUX_CAPABILITY_U32S_3];
  if (syscall(SYS_capget, &head, list)) return false;
  /* Units that leave none forbid capset, too. */
  if (!(list[0].permitted & ~kept) && !list[1].permitted) return true;
  list[0].effective &= kept;
  list[0].permitted &= kept;
  list[0].inheritable = list[1].effective = list[1].permitted = list[1].inheritable = 0;
  return syscall(SYS_capset, &head, list) == 0;
}

static void say(char *wrong, size_t size, const Sandbox *s, const char *lost, int error) {
  if (s->is_all) {
    snprintf(wrong, size,
             "--sandbox: it would open '/', and with it everything: that is the working directory, "
             "or the folder of the app, of a key or of LUA_PATH, or was asked for");
    return;
  }
  if (lost) {
    snprintf(wrong, size, "--sandbox: %s: %s", lost, strerror(error));
    return;
  }
  snprintf(wrong, size, "--sandbox: the kernel refuses it: %s",
           error == ENOSYS       ? "it has no Landlock (Linux 5.13 or later is needed)"
           : error == EOPNOTSUPP ? "Landlock is turned off (see its boot option lsm=)"
                                 : strerror(error));
}

bool sandbox_enter(const SandboxPaths *paths, char *wrong, size_t size) {
  Sandbox s = {.fd = -1};
  const char *lost = NULL;
  bool ok = open_rules(&s, paths->filter.signals_others) && allow_system(&s) &&
            allow_writing(&s, paths->temp) && allow_given(&s, paths, &lost) &&
            prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && drop_capabilities() &&
            syscall(SYS_landlock_restrict_self, s.fd, 0) == 0 &&
            syscall_filter_enter(&paths->filter);
  int error = errno;
  if (s.fd >= 0) close(s.fd);
  if (!ok) say(wrong, size, &s, lost, error);
  return ok;
}
