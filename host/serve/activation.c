#include "serve/activation.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The variable as a number; 0: it has none. */
static unsigned long number_of(const char *variable) {
  const char *text = getenv(variable);
  char *end;
  if (!text || *text < '0' || *text > '9') return 0;
  unsigned long number = strtoul(text, &end, 10);
  return *end ? 0 : number;
}

void activation_take(Activation *activation) {
  unsigned long n = number_of("LISTEN_FDS");
  const char *names = getenv("LISTEN_FDNAMES");
  *activation = (Activation){0};
  if (number_of("LISTEN_PID") == (unsigned long)getpid() && n <= INT_MAX - ACTIVATION_FIRST)
    *activation = (Activation){.n = (unsigned)n, .names = names ? strdup(names) : NULL};
  unsetenv("LISTEN_PID");
  unsetenv("LISTEN_FDS");
  unsetenv("LISTEN_FDNAMES");
}

const char *activation_name(const Activation *activation, unsigned index, size_t *n) {
  static const char unknown[] = "unknown";
  const char *name = activation->names;
  while (name && index--) {
    name = strchr(name, ':');
    if (name) name++;
  }
  *n = name ? strcspn(name, ":") : sizeof unknown - 1;
  return name ? name : unknown;
}
