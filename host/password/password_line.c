#include "password/password_line.h"

#include "base/clock.h"

#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

/* As the executor's workers: a ninth of the loop's weight where they compete for a core. */
#define NICE 10

/* The process's, as its cores are. */
static struct {
  pthread_mutex_t lock;
  PasswordJob *first, **last;
  unsigned waiting, threads;
  unsigned most;  /* threads; 0: not known yet */
  double seconds; /* that a job takes: a mean in which later ones count more */
} line = {.lock = PTHREAD_MUTEX_INITIALIZER, .seconds = 0.025};

PasswordJob *password_line_job(const char *password, size_t size) {
  PasswordJob *job = calloc(1, sizeof *job + size);
  if (!job) return NULL;
  job->size = size;
  memcpy(job->password, password, size);
  return job;
}

void password_line_drop(void *op) {
  PasswordJob *job = op;
  sodium_memzero(job, sizeof *job + job->size);
  free(job);
}

/* --- the threads --- */

static void run(PasswordJob *job) {
  if (atomic_load(&job->abandoned)) return;
  if (job->is_match)
    job->match = password_hash_match(job->has_hash ? job->hash : NULL, job->password, job->size);
  else
    job->ok = password_hash_make(job->hash, job->password, job->size);
}

/* Under the lock. */
static void leave(PasswordJob *job) {
  *job->link = job->next;
  if (job->next)
    job->next->link = job->link;
  else
    line.last = job->link;
  job->link = NULL;
  line.waiting--;
}

/* A thread: works until nobody waits. Starting one costs little beside a hash. */
static void *work(void *data) {
  (void)data;
  setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + NICE); /* of this thread */
  pthread_mutex_lock(&line.lock);
  for (PasswordJob *job; (job = line.first);) {
    leave(job);
    pthread_mutex_unlock(&line.lock);
    uint64_t began = uv_hrtime();
    run(job);
    double took = (double)(uv_hrtime() - began) / 1e9;
    bool counts = !atomic_load(&job->abandoned);
    ml_completion_signal(job->completion); /* from here on the job is the task's again */
    pthread_mutex_lock(&line.lock);
    if (counts) line.seconds += (took - line.seconds) / 16;
  }
  line.threads--;
  pthread_mutex_unlock(&line.lock);
  return NULL;
}

/* Starts a detached thread that gets none of the process's signals. Under the lock. */
static int start_thread(void) {
  pthread_t thread;
  sigset_t every, before;
  sigfillset(&every);
  pthread_sigmask(SIG_SETMASK, &every, &before);
  int error = pthread_create(&thread, NULL, work, NULL);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (error) return uv_translate_sys_error(error);
  pthread_detach(thread);
  line.threads++;
  return 0;
}

/* --- the loops' side --- */

/* The process's part of the machine's cores: the workers of a server have one each of N. */
static unsigned own_cores(void) {
  const char *workers = getenv("MOONLOOP_WORKERS");
  unsigned cores = uv_available_parallelism();
  unsigned long n = workers ? strtoul(workers, NULL, 10) : 1;
  return n <= 1 ? cores : n >= cores ? 1 : (unsigned)((cores + n - 1) / n);
}

int password_line_add(PasswordJob *job, unsigned *wait) {
  pthread_mutex_lock(&line.lock);
  if (!line.most) {
    line.most = own_cores();
    line.last = &line.first;
  }
  int error = 0;
  if (line.waiting >= line.most * PASSWORD_LINE_MOST) {
    error = UV_EBUSY;
    *wait = (unsigned)ceil(line.waiting * line.seconds / line.most);
  } else if (line.threads < line.most) {
    error = start_thread();
    if (line.threads > 0) error = 0; /* the others will come to it */
  }
  if (!error) {
    job->next = NULL;
    job->link = line.last;
    *line.last = job;
    line.last = &job->next;
    line.waiting++;
  }
  pthread_mutex_unlock(&line.lock);
  return error;
}

void password_line_abandon(PasswordJob *job) {
  pthread_mutex_lock(&line.lock);
  bool is_waiting = job->link;
  if (is_waiting) leave(job);
  pthread_mutex_unlock(&line.lock);
  atomic_store(&job->abandoned, true);
  if (is_waiting) ml_completion_signal(job->completion);
}
