/* The clients of bench/echo.lua and its peers: 64 connections to PORT, each with one message of 1
   kB on its way. Runs for two seconds, and prints how many came back. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CONNECTIONS = 64, SIZE = 1024, SECONDS = 2 };

static char message[SIZE], in[64 * 1024];

static double now(void) {
  struct timespec at;
  clock_gettime(CLOCK_MONOTONIC, &at);
  return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

static int fail(const char *what) {
  perror(what);
  return 1;
}

int main(int argc, char **argv) {
  if (argc != 2) return 2;
  struct sockaddr_in place = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[1]))};
  place.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int fds[CONNECTIONS], on = 1, poll = epoll_create1(0);
  size_t back[CONNECTIONS] = {0};
  memset(message, 'x', sizeof message);
  message[SIZE - 1] = '\n';
  for (uint32_t i = 0; i < CONNECTIONS; i++) {
    fds[i] = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(fds[i], (struct sockaddr *)&place, sizeof place)) return fail("connect");
    setsockopt(fds[i], IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = i};
    epoll_ctl(poll, EPOLL_CTL_ADD, fds[i], &event);
    if (write(fds[i], message, SIZE) != SIZE) return fail("write");
  }
  long messages = 0;
  for (double end = now() + SECONDS; now() < end;) {
    struct epoll_event events[CONNECTIONS];
    int n = epoll_wait(poll, events, CONNECTIONS, 100);
    for (int k = 0; k < n; k++) {
      uint32_t i = events[k].data.u32;
      ssize_t got = read(fds[i], in, sizeof in);
      if (got <= 0) return fail("read");
      back[i] += (size_t)got;
      if (back[i] < SIZE) continue;
      back[i] = 0;
      messages++;
      if (write(fds[i], message, SIZE) != SIZE) return fail("write");
    }
  }
  printf("%ld\n", messages);
  return 0;
}
