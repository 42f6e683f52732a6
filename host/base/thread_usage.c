#include "base/thread_usage.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

/* A thread that computes all the time may seem blocked for this part of it. */
#define BLOCKED_AT_LEAST 0.1

/* Reads a file of the thread as text. False if there is none. */
static bool read_file(pid_t thread, const char *name, char *text, size_t size) {
  char path[64];
  snprintf(path, sizeof path, "/proc/self/task/%d/%s", (int)thread, name);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  ssize_t len = read(fd, text, size - 1);
  close(fd);
  if (len < 0) return false;
  text[len] = 0;
  return true;
}

/* proc(5): CPU time, time on a run queue, and the number of time slices. */
static uint64_t delayed_time(pid_t thread) {
  char text[128];
  if (!read_file(thread, "schedstat", text, sizeof text)) return 0;
  const char *second = strchr(text, ' ');
  return second ? strtoull(second, NULL, 10) : 0;
}

/* Is it running, or waiting for a core? proc(5): id, (name), state; the name may have any
   characters. */
static bool is_runnable(pid_t thread) {
  char text[512];
  if (!read_file(thread, "stat", text, sizeof text)) return false;
  const char *name_end = strrchr(text, ')');
  return name_end && strncmp(name_end, ") R", 3) == 0;
}

ThreadUsage thread_usage_now(pid_t thread, clockid_t clock) {
  ThreadUsage usage = {.at = uv_hrtime(), .delayed = delayed_time(thread)};
  struct timespec used;
  if (clock_gettime(clock, &used) == 0)
    usage.cpu = (uint64_t)used.tv_sec * 1000000000u + (uint64_t)used.tv_nsec;
  return usage;
}

double thread_usage_between(const ThreadUsage *since, const ThreadUsage *now, pid_t thread) {
  uint64_t wanted = now->cpu - since->cpu + now->delayed - since->delayed;
  uint64_t passed = now->at - since->at;
  double part = wanted < passed ? (double)wanted / (double)passed : 1;
  return part < 1 - BLOCKED_AT_LEAST && is_runnable(thread) ? 1 : part;
}
