/* The module paths of a pool's workers: those of the owner when it submits a job. */
#include "executor/pool.h"

#include <stdlib.h>
#include <string.h>

bool pool_set_paths(Pool *pool, const char *path, const char *cpath) {
  if (pool->path && strcmp(pool->path, path) == 0 && strcmp(pool->cpath, cpath) == 0) return true;
  char *new_path = strdup(path), *new_cpath = strdup(cpath);
  if (!new_path || !new_cpath) {
    free(new_path);
    free(new_cpath);
    return false;
  }
  uv_mutex_lock(&pool->lock);
  free(pool->path);
  free(pool->cpath);
  pool->path = new_path;
  pool->cpath = new_cpath;
  atomic_fetch_add(&pool->path_set, 1);
  uv_mutex_unlock(&pool->lock);
  return true;
}

bool pool_copy_paths(Pool *pool, char **path, char **cpath, unsigned *set) {
  uv_mutex_lock(&pool->lock);
  *path = strdup(pool->path);
  *cpath = strdup(pool->cpath);
  *set = atomic_load(&pool->path_set);
  uv_mutex_unlock(&pool->lock);
  if (*path && *cpath) return true;
  free(*path);
  free(*cpath);
  return false;
}
