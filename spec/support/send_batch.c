/* send_batch WHAT: lets host/net/send_batch.c write to sockets, and prints "ok", or what was wrong.
     ring       with an io_uring
     forbidden  where it cannot be made
     later      where it is forbidden after the first batch
     few        a batch that is not worth one */
#include "net/send_batch.h"
#include "forbid_call.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { SOCKETS = 1500, PARTS = 3, LONGEST = 300 };

static int ends[SOCKETS][2];
static SendItem items[SOCKETS];
static struct iovec parts[SOCKETS][PARTS];
static char bytes[PARTS][LONGEST];

static void wrong(const char *what, size_t i) {
  printf("%s: socket %zu: sent %zd\n", what, i, items[i].sent);
  exit(0);
}

/* Sends between one and three parts to each of the first `n`, and compares what comes. */
static void round_of(SendBatch *batch, size_t n) {
  char expected[PARTS * LONGEST], got[PARTS * LONGEST + 1];
  size_t lengths[SOCKETS];
  for (size_t i = 0; i < n; i++) {
    lengths[i] = 0;
    items[i] =
        (SendItem){.fd = ends[i][0], .n_parts = 1 + (unsigned)(i % PARTS), .parts = parts[i]};
    for (unsigned p = 0; p < items[i].n_parts; p++) {
      parts[i][p] = (struct iovec){bytes[p], 1 + (i * 7 + p) % LONGEST};
      lengths[i] += parts[i][p].iov_len;
    }
  }
  send_batch_run(batch, items, n);
  for (size_t i = 0; i < n; i++) {
    size_t at = 0;
    for (unsigned p = 0; p < items[i].n_parts; p++) {
      memcpy(expected + at, bytes[p], parts[i][p].iov_len);
      at += parts[i][p].iov_len;
    }
    if (items[i].sent != (ssize_t)lengths[i]) wrong("a send", i);
    ssize_t come = recv(ends[i][1], got, sizeof got, MSG_DONTWAIT);
    if (come != (ssize_t)at || memcmp(got, expected, at) != 0) wrong("a receive", i);
  }
}

/* A full socket takes nothing, one that is nearly full some, and one without a peer fails. */
static void odd_ones(SendBatch *batch, size_t n) {
  static char much[1 << 20];
  while (send(ends[0][0], much, sizeof much, MSG_DONTWAIT) > 0) continue;
  while (send(ends[0][0], much, 1, MSG_DONTWAIT) > 0) continue;
  close(ends[1][1]);
  for (size_t i = 0; i < n; i++) {
    parts[i][0] = (struct iovec){much, i == 2 ? sizeof much : 100};
    items[i] = (SendItem){.fd = ends[i][0], .n_parts = 1, .parts = parts[i]};
  }
  send_batch_run(batch, items, n);
  for (size_t i = 0; i < n; i++) {
    ssize_t sent = items[i].sent;
    bool good = i == 0   ? sent == 0
                : i == 1 ? sent == -EPIPE
                : i == 2 ? sent > 0 && sent < (ssize_t)sizeof much
                         : sent == 100;
    if (!good) wrong("an odd one", i);
  }
}

int main(int argc, char **argv) {
  const char *what = argc > 1 ? argv[1] : "";
  struct rlimit limit;
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  for (int i = 0; i < SOCKETS; i++)
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends[i]))
      return perror("socketpair"), 1;
  for (int p = 0; p < PARTS; p++)
    for (int i = 0; i < LONGEST; i++) bytes[p][i] = (char)(p * 31 + i);
  SendBatch batch = {0};
  bool wants_ring = strcmp(what, "ring") == 0 || strcmp(what, "later") == 0;
  size_t n = strcmp(what, "few") == 0 ? SEND_BATCH_FEW - 1 : SOCKETS;
  if (strcmp(what, "forbidden") == 0 && forbid_call(SYS_io_uring_setup))
    return perror("seccomp"), 1;
  round_of(&batch, n);
  if (strcmp(what, "later") == 0 && forbid_call(SYS_io_uring_enter)) return perror("seccomp"), 1;
  if ((batch.ring != NULL) != wants_ring) return puts("no ring where one was wanted, or one"), 0;
  round_of(&batch, n);
  if (wants_ring && strcmp(what, "later") != 0) round_of(&batch, 1);
  odd_ones(&batch, n);
  send_batch_close(&batch);
  puts("ok");
  return 0;
}
