/* The jobs of a pool, their lists, and the lists of waiting tasks. */
#include "executor/pool.h"

#include <stdlib.h>

void pool_job_list_add(JobList *list, Job *job) {
  job->next = NULL;
  job->link = list->tail;
  *list->tail = job;
  list->tail = &job->next;
}

void pool_job_list_remove(JobList *list, Job *job) {
  *job->link = job->next;
  if (job->next)
    job->next->link = job->link;
  else
    list->tail = job->link;
}

Job *pool_job_list_take(JobList *list) {
  Job *job = list->head;
  if (job) pool_job_list_remove(list, job);
  return job;
}

Job *pool_job_new(Pool *pool) {
  Job *job = calloc(1, sizeof *job);
  if (!job) return NULL;
  job->pool = pool;
  job->message.max_bytes = pool->max_message;
  atomic_init(&job->cancelled, false);
  return job;
}

void pool_job_free(Job *job) {
  if (job->expected) pool_expect_over(job->pool, job);
  transfer_free(&job->message);
  progress_end(job->progress);
  progress_release(job->progress);
  trace_carrier_free(job->trace);
  free(job->log_context);
  free(job);
}

void pool_waits_add(PoolWaits *waits, PoolWait *wait) {
  wait->list = waits;
  wait->next = NULL;
  wait->link = waits->tail;
  *waits->tail = wait;
  waits->tail = &wait->next;
}

void pool_waits_remove(PoolWait *wait) {
  *wait->link = wait->next;
  if (wait->next)
    wait->next->link = wait->link;
  else
    wait->list->tail = wait->link;
}
