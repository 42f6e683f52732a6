#include "inspect/inspector_ask.h"

#include "base/buffer.h"
#include "base/quote.h"
#include "inspect/inspector_socket.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#define ANSWER_SECONDS 5
/* Who answers may have been taken over. */
#define MOST_SECONDS 60
#define MOST_BYTES ((size_t)64 * 1024 * 1024)
#define MOST_WORKERS 1024

static bool fail(int fd, long pid, const char *what) {
  fprintf(stderr, "moonloop ps: process %ld %s\n", pid, what);
  if (fd >= 0) close(fd);
  return false;
}

static const char *why_not_connected(long pid) {
  if (errno == EPERM && !geteuid())
    return "belongs to another user, and only that user may ask: runuser -u USER -- moonloop ps "
           "PID";
  if (errno == EPERM) return "belongs to another user, and only that user may ask";
  if (errno == EAGAIN) return "takes no questions now: too many wait";
  if (kill((pid_t)pid, 0) == 0) return "is not a moonloop that can be asked";
  return errno == EPERM ? "belongs to another user" : "does not exist";
}

/* Appends the answer of the process. False if it did not answer, which was reported. */
static bool ask(long pid, char question, Buffer *answer) {
  int fd = inspector_socket_connect(pid);
  if (fd < 0) return fail(fd, pid, why_not_connected(pid));
  if (send(fd, &question, 1, MSG_NOSIGNAL) != 1)
    return fail(fd, pid, "is not taking questions now");
  uint64_t until = uv_hrtime() + (uint64_t)MOST_SECONDS * 1000000000;
  for (;;) {
    char bytes[16384];
    struct pollfd readable = {.fd = fd, .events = POLLIN};
    int ready = poll(&readable, 1, ANSWER_SECONDS * 1000);
    if (ready < 0 && errno == EINTR) continue;
    if (ready == 0)
      return fail(fd, pid,
                  "does not answer: for 5 seconds its loop has had no turn, so one of its tasks is "
                  "blocked in a C function");
    ssize_t n = ready < 0 ? -1 : read(fd, bytes, sizeof bytes);
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (n <= 0) {
      if (!answer->len) return fail(fd, pid, "ended, or refused, before it answered");
      close(fd);
      return true;
    }
    if (answer->len > MOST_BYTES || uv_hrtime() > until)
      return fail(fd, pid, "does not come to the end of its answer");
    if (!buffer_add(answer, bytes, (size_t)n))
      return fail(fd, pid, "sent more than fits into memory");
  }
}

/* Prints the lines of `n` bytes, each behind `indent`, and without what a terminal obeys. */
static void print_lines(const char *line, size_t n, const char *indent) {
  Buffer out = {0};
  for (const char *end = line + n; line < end;) {
    const char *line_end = memchr(line, '\n', (size_t)(end - line));
    if (!line_end) line_end = end;
    buffer_add(&out, indent, strlen(indent));
    quote_text(&out, line, (size_t)(line_end - line));
    buffer_add_char(&out, '\n');
    line = line_end + 1;
  }
  fwrite(out.data, 1, out.len, stdout);
  buffer_free(&out);
}

/* Prints a supervisor's answer, and the answers of the workers that it names. False if not all of
   them answered. */
static bool print_workers(Buffer *answer, char question) {
  if (!buffer_add_char(answer, '\0')) return false;
  bool all = true;
  int n = 0;
  char *rest = answer->data + 1;
  for (char *line; (line = strsep(&rest, "\n")) && *line;) {
    if (*line != ANSWER_OF_SUPERVISOR) {
      print_lines(line, strlen(line), "");
      continue;
    }
    Buffer tasks = {0};
    if (n++ == MOST_WORKERS) return false;
    fflush(stdout); /* before any message about it on standard error */
    if (ask(strtol(line + 1, NULL, 10), question, &tasks))
      print_lines(tasks.data, tasks.len, "  ");
    else
      all = false;
    buffer_free(&tasks);
  }
  return all;
}

int inspector_ask(long pid, bool tracebacks) {
  const char question = tracebacks ? ASK_TRACEBACKS : ASK_TASKS;
  Buffer answer = {0};
  bool ok = ask(pid, question, &answer);
  if (ok && *answer.data == ANSWER_OF_SUPERVISOR)
    ok = print_workers(&answer, question);
  else if (ok)
    print_lines(answer.data, answer.len, "");
  buffer_free(&answer);
  return ok ? 0 : 1;
}
