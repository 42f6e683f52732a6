#include "net/listen.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <unistd.h>

#define BACKLOG 4096

/* A bound and listening socket of `address`, or a negative libuv error. */
static int listen_on(const struct addrinfo *address) {
  int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return uv_translate_sys_error(errno);
  int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(fd, address->ai_addr, address->ai_addrlen) || listen(fd, BACKLOG)) {
    int error = uv_translate_sys_error(errno);
    close(fd);
    return error;
  }
  return fd;
}

int listen_open(uv_loop_t *loop, const char *host, uint16_t port) {
  char service[8];
  snprintf(service, sizeof service, "%u", port);
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
  uv_getaddrinfo_t request; /* blocks: nothing is served yet */
  int rc = uv_getaddrinfo(loop, &request, NULL, host, service, &hints);
  if (rc) return rc;
  int fd = listen_on(request.addrinfo);
  uv_freeaddrinfo(request.addrinfo);
  return fd;
}

void listen_end(int fd) {
  shutdown(fd, SHUT_RDWR);
  close(fd);
}

int listen_port(int fd) {
  union {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
  } bound;
  socklen_t size = sizeof bound;
  if (getsockname(fd, &bound.any, &size)) return uv_translate_sys_error(errno);
  return ntohs(bound.any.sa_family == AF_INET6 ? bound.v6.sin6_port : bound.v4.sin_port);
}
