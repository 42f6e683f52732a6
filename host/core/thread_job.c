#include "core/thread_job.h"

#include <lauxlib.h>

static void on_thread(uv_work_t *work) {
  ThreadJob *job = container_of(work, ThreadJob, work);
  job->run(job);
}

static void on_done(uv_work_t *work, int status) {
  (void)status;
  ThreadJob *job = container_of(work, ThreadJob, work);
  if (!ml_wait_wake(job->waker)) job->drop(job);
}

int thread_job_suspend(lua_State *L, Task *t, const WaitType *type, ThreadJob *job) {
  job->waker = ml_wait_waker(t);
  atomic_init(&job->abandoned, false);
  int rc = uv_queue_work(&t->rt->loop, &job->work, on_thread, on_done);
  if (rc) {
    job->drop(job);
    return luaL_error(L, "no thread for the work: %s", uv_strerror(rc));
  }
  return ml_wait_suspend(L, t, type, job);
}

int thread_job_start_alone(Runtime *rt, ThreadJob *job) {
  job->waker = (Waker){0};
  atomic_init(&job->abandoned, false);
  return uv_queue_work(&rt->loop, &job->work, on_thread, on_done);
}

void thread_job_cancel(Task *t, void *op) {
  (void)t;
  ThreadJob *job = op;
  atomic_store(&job->abandoned, true);
  uv_cancel((uv_req_t *)&job->work); /* if no thread has taken it yet */
}
