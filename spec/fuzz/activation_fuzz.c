/* Takes the sockets that systemd says it has opened, from three lines: LISTEN_FDS, LISTEN_FDNAMES
   and LISTEN_PID, in which "%" is the number of this process. What is taken is for this process,
   each socket has a name that lies within the names, and the environment says nothing of it
   afterwards. */
#include "fuzz.h"
#include "serve/activation.h"

#include <stdio.h>
#include <unistd.h>

enum { MOST = 200 }; /* sockets whose names are looked at */

/* The next line, with a NUL in place of its end. */
static char *take_line(char **rest) {
  static char none[1];
  char *line = strsep(rest, "\n");
  return line ? line : none;
}

static void set(const char *name, const char *value) {
  if (*value)
    setenv(name, value, 1);
  else
    unsetenv(name);
}

/* The names, one after the other: each is the one that stands next in the list. */
static void check_names(const Activation *activation) {
  const char *at = activation->names;
  unsigned most = activation->n < MOST ? activation->n : MOST;
  for (unsigned i = 0; i < most; i++) {
    size_t n;
    const char *name = activation_name(activation, i, &n);
    if (!at) {
      check(n == 7 && !memcmp(name, "unknown", n));
      continue;
    }
    check(name == at && !memchr(name, ':', n) && (name[n] == ':' || !name[n]));
    at = name[n] ? name + n + 1 : NULL;
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char *text = malloc(size + 1), *rest = text, pid[32];
  check(text);
  if (size) memcpy(text, data, size);
  text[size] = 0;
  snprintf(pid, sizeof pid, "%d", getpid());
  char *fds = take_line(&rest), *names = take_line(&rest), *whose = take_line(&rest);
  set("LISTEN_FDS", fds);
  set("LISTEN_FDNAMES", names);
  set("LISTEN_PID", strcmp(whose, "%") == 0 ? pid : whose);
  bool ours = strcmp(whose, "%") == 0 || strtoul(whose, NULL, 10) == (unsigned long)getpid();
  Activation activation;
  activation_take(&activation);
  check(!getenv("LISTEN_FDS") && !getenv("LISTEN_FDNAMES") && !getenv("LISTEN_PID"));
  check(ours || !activation.n);
  check(activation.n <= INT32_MAX - ACTIVATION_FIRST);
  if (activation.n) check(strtoul(fds, NULL, 10) == activation.n);
  check_names(&activation);
  free(activation.names);
  free(text);
  return 0;
}
