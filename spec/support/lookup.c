/* lookup STEP...: takes host/net/lookup.c through its steps, with name servers that are silent
   until they are told to answer, and prints what came of it.

     +NAME  starts a look-up; they count from 1      N+NAME  N of them, NAME1, NAME2 and so on
     -K     cancels the K-th                         !NAME   lets the name be answered, once it is
   asked =N     waits until N questions have been asked  @K      waits until the K-th is over *NAME
   when the next look-up is over, starts one for NAME .      closes the runtime: what comes behind
   it is done afterwards

   Prints "asked NAME", "over K STATUS", "error K"; at the end how many were asked at a time at
   most, and what closing the runtime gave. */
#include "net/lookup.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST = 300 };

typedef struct Started {
  Lookup *lookup;
  bool over;
} Started;

static struct {
  Runtime *rt;
  Started started[MOST + 1];
  int n, wanted; /* look-ups; the one that is waited for */
  const char *then;

  pthread_mutex_t lock;
  pthread_cond_t change;
  const char *answered[MOST];
  int n_answered, asked, running, most;
} all = {.lock = PTHREAD_MUTEX_INITIALIZER, .change = PTHREAD_COND_INITIALIZER};

/* --- the system's calls --- */

static bool is_answered(const char *name) {
  for (int i = 0; i < all.n_answered; i++)
    if (!strcmp(all.answered[i], name)) return true;
  return false;
}

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                struct addrinfo **found) {
  (void)service;
  (void)hints;
  (void)found;
  pthread_mutex_lock(&all.lock);
  printf("asked %s\n", node);
  all.asked++;
  if (++all.running > all.most) all.most = all.running;
  pthread_cond_broadcast(&all.change);
  while (!is_answered(node)) pthread_cond_wait(&all.change, &all.lock);
  all.running--;
  pthread_mutex_unlock(&all.lock);
  return EAI_NONAME;
}

void freeaddrinfo(struct addrinfo *info) { (void)info; }

/* --- steps --- */

static void start(const char *name);

static void on_looked_up(void *data, int status, const struct addrinfo *found) {
  Started *s = data;
  (void)found;
  s->over = true;
  pthread_mutex_lock(&all.lock);
  printf("over %d %s\n", (int)(s - all.started), uv_err_name(status));
  pthread_mutex_unlock(&all.lock);
  const char *then = all.then;
  all.then = NULL;
  if (then) start(then);
}

static void start(const char *name) {
  if (all.n == MOST) abort();
  Started *s = &all.started[++all.n];
  if (!lookup_start(all.rt, name, on_looked_up, s, &s->lookup)) return;
  printf("error %d\n", all.n);
  s->over = true;
}

static void start_many(int n, const char *name) {
  char text[80];
  for (int i = 1; i <= n; i++) {
    snprintf(text, sizeof text, "%s%d", name, i);
    start(text);
  }
}

static void answer(const char *name) {
  pthread_mutex_lock(&all.lock);
  all.answered[all.n_answered++] = name;
  pthread_cond_broadcast(&all.change);
  pthread_mutex_unlock(&all.lock);
}

static void await_asked(int n) {
  pthread_mutex_lock(&all.lock);
  while (all.asked < n) pthread_cond_wait(&all.change, &all.lock);
  pthread_mutex_unlock(&all.lock);
}

static bool is_over(void *data) {
  (void)data;
  return all.started[all.wanted].over;
}

static void await_over(int k) {
  all.wanted = k;
  if (!is_over(NULL)) runtime_run(all.rt, is_over, NULL);
}

static void step(const char *text) {
  int n = atoi(text + (*text < '0' || *text > '9'));
  switch (*text) {
  case '+':
    return start(text + 1);
  case '-':
    return lookup_cancel(all.started[n].lookup);
  case '!':
    return answer(text + 1);
  case '=':
    return await_asked(n);
  case '@':
    return await_over(n);
  case '*':
    all.then = text + 1;
    return;
  case '.':
    printf("closed %d\n", runtime_close(all.rt));
    all.rt = NULL;
    return;
  default:
    return start_many(n, strchr(text, '+') + 1);
  }
}

int main(int argc, char **argv) {
  all.rt = runtime_new(NULL);
  if (!all.rt) return 2;
  for (int i = 1; i < argc; i++) step(argv[i]);
  pthread_mutex_lock(&all.lock);
  printf("most %d\n", all.most);
  fflush(stdout);
  if (all.rt) return 2;
  _exit(0); /* while threads may still be asking */
}
