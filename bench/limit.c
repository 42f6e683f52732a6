/* The least that an HTTP reply can cost on this machine: epoll, one read, a look for the ends of
   requests, one write of ready-made replies. It parses nothing and checks nothing; bench/http.lua
   divides by it. The port is the environment's PORT. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static const char text_reply[] = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
                                 "Content-Length: 13\r\n\r\nHello, World!";
static const char json_reply[] =
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 54\r\n\r\n"
    "{\"message\":\"Hello, World!\",\"n\":[1,2,3,4,5,6,7,8,9,10]}";

static char in[64 * 1024], out[256 * 1024];

/* Puts a reply to each of the `n` bytes' requests into `out`; returns how many bytes those are. */
static size_t reply_to(size_t n) {
  size_t len = 0;
  const char *at = in, *end = in + n, *stop;
  while ((stop = memmem(at, (size_t)(end - at), "\r\n\r\n", 4)) && len + 256 < sizeof out) {
    int json = stop - at > 5 && at[5] == 'j';
    size_t size = json ? sizeof json_reply - 1 : sizeof text_reply - 1;
    memcpy(out + len, json ? json_reply : text_reply, size);
    len += size;
    at = stop + 4;
  }
  return len;
}

static void serve(int fd) {
  ssize_t n = read(fd, in, sizeof in);
  size_t len = n > 0 ? reply_to((size_t)n) : 0;
  if (n <= 0 || (len && write(fd, out, len) != (ssize_t)len)) close(fd);
}

int main(void) {
  const char *port = getenv("PORT");
  int on = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  struct sockaddr_in address = {.sin_family = AF_INET,
                                .sin_port = htons((unsigned short)atoi(port ? port : "8000")),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 1024)) {
    perror("limit");
    return 1;
  }
  int poll = epoll_create1(0);
  struct epoll_event event = {.events = EPOLLIN, .data.fd = listener}, events[256];
  epoll_ctl(poll, EPOLL_CTL_ADD, listener, &event);
  for (;;) {
    int n = epoll_wait(poll, events, 256, -1);
    for (int i = 0; i < n; i++) {
      if (events[i].data.fd != listener) {
        serve(events[i].data.fd);
        continue;
      }
      int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
      if (fd < 0) continue;
      setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      event = (struct epoll_event){.events = EPOLLIN, .data.fd = fd};
      epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event);
    }
  }
}
