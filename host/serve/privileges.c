#include "serve/privileges.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/types.h>
#include <unistd.h>

static bool fail(char *wrong, size_t size, const char *option, const char *name, const char *why) {
  snprintf(wrong, size, "%s %s: %s", option, name, why);
  return false;
}

/* Reads a number; false if it is none. */
static bool read_number(const char *text, unsigned long *number) {
  char *end;
  if (*text < '0' || *text > '9') return false;
  *number = strtoul(text, &end, 10);
  return !*end && *number < (uid_t)-1;
}

static struct passwd *find_user(const char *name) {
  unsigned long number;
  return read_number(name, &number) ? getpwuid((uid_t)number) : getpwnam(name);
}

static bool find_group(const char *name, gid_t *gid) {
  unsigned long number;
  const struct group *group;
  if (read_number(name, &number)) {
    *gid = (gid_t)number;
    return true;
  }
  group = getgrnam(name);
  if (group) *gid = group->gr_gid;
  return group != NULL;
}

static void set_environment(const struct passwd *user) {
  setenv("HOME", user->pw_dir, 1);
  setenv("USER", user->pw_name, 1);
  setenv("LOGNAME", user->pw_name, 1);
}

bool privileges_drop(const char *user, const char *group, const ServeSockets *sockets, char *wrong,
                     size_t size) {
  const struct passwd *entry = NULL;
  gid_t gid = getegid();
  if (!user && !group) return true;
  if (user && !(entry = find_user(user)))
    return fail(wrong, size, "--user", user, "there is no such user");
  if (entry) gid = entry->pw_gid;
  if (group && !find_group(group, &gid))
    return fail(wrong, size, "--group", group, "there is no such group");
  bool is_there = (!entry || entry->pw_uid == geteuid()) && gid == getegid();
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    return fail(wrong, size, "--user", user ? user : group, strerror(errno));
  if (is_there && geteuid() != 0) return true;
  if (geteuid() == 0 && serve_sockets_give(sockets, entry ? entry->pw_uid : (uid_t)-1, gid))
    return fail(wrong, size, "--user", user ? user : group, "the file of a socket cannot be given");
  /* The groups first: they cannot be changed any more behind setuid. */
  int rc = group || !entry ? setgroups(1, &gid) : initgroups(entry->pw_name, gid);
  if (!rc) rc = setgid(gid);
  if (!rc && entry) rc = setuid(entry->pw_uid);
  if (rc)
    return fail(wrong, size, user ? "--user" : "--group", user ? user : group,
                errno == EPERM ? "only root can become another user" : strerror(errno));
  if (entry && entry->pw_uid && setuid(0) == 0)
    return fail(wrong, size, "--user", user, "root's rights could be taken back");
  if (entry) set_environment(entry);
  return true;
}

const char *privileges_warning(const char *user) {
  if (geteuid() != 0 || user) return NULL;
  return "running as root: whoever finds a hole in the app has the whole machine. --user NAME goes "
         "on as somebody else when the sockets are open; --user root says that it is meant";
}
