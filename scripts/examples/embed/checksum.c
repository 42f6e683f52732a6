/* An example of a module in C: a function that suspends its task until another thread has done the
   work.

     local checksum = require "checksum"
     print(checksum.file("archive.tar")) */
#include <moonloop.h>

#include <errno.h>
#include <lauxlib.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct Sum {
  ml_Completion *completion;
  atomic_bool stop;
  uint16_t value;
  int error;
  char path[];
} Sum;

/* Runs on the thread, which may use neither Lua nor anything of the task. */
static void *sum_main(void *arg) {
  Sum *sum = arg;
  unsigned char block[4096];
  FILE *file = fopen(sum->path, "rb");
  for (size_t n = 1; file && n > 0 && !atomic_load(&sum->stop);) {
    n = fread(block, 1, sizeof block, file);
    for (size_t i = 0; i < n; i++)
      sum->value = (uint16_t)((sum->value >> 1) + (sum->value << 15) + block[i]);
  }
  if (!file || ferror(file)) sum->error = errno;
  if (file) fclose(file);
  ml_completion_signal(sum->completion); /* from here on sum is the task's again */
  return NULL;
}

/* The task continues at once; the thread stops when it notices. */
static void sum_cancel(ml_Task *t, void *op) {
  (void)t;
  atomic_store(&((Sum *)op)->stop, true);
}

static int sum_finish(lua_State *L, ml_Task *t, void *op) {
  (void)t;
  int value = ((Sum *)op)->value, error = ((Sum *)op)->error;
  free(op);
  if (error)
    return ml_error_return(L, "file", uv_err_name(-error), "%s: %s", lua_tostring(L, 1),
                           uv_strerror(-error));
  lua_pushinteger(L, value);
  return 1;
}

static const ml_WaitType sum_wait = {
    .name = "checksum", .cancel = sum_cancel, .finish = sum_finish};

/* file(path) -> integer | nil, err: the file's 16-bit BSD checksum, as sum(1) prints it. */
static int l_file(lua_State *L) {
  size_t size;
  const char *path = luaL_checklstring(L, 1, &size);
  pthread_t thread;

  ml_Task *t = ml_wait_enter(L, "checksum.file");
  Sum *sum = calloc(1, sizeof *sum + size + 1);
  if (!sum) return luaL_error(L, "not enough memory");
  memcpy(sum->path, path, size);
  sum->completion = ml_completion_new(t, sum, free);
  int rc = sum->completion ? pthread_create(&thread, NULL, sum_main, sum) : ENOMEM;
  if (rc == 0) {
    pthread_detach(thread);
    return ml_wait_suspend(L, t, &sum_wait, sum);
  }
  if (sum->completion) ml_completion_discard(sum->completion);
  free(sum);
  return ml_error_return(L, "system", uv_err_name(-rc), "no thread: %s", uv_strerror(-rc));
}

int luaopen_checksum(lua_State *L) {
  static const luaL_Reg functions[] = {{"file", l_file}, {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
