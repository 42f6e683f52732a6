#include "net/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 4096
#define LOCK_TRIES 100 /* a millisecond each */

typedef union SocketName {
  struct sockaddr any;
  struct sockaddr_in v4;
  struct sockaddr_in6 v6;
  struct sockaddr_un file;
} SocketName;

static int failure(void) { return uv_translate_sys_error(errno); }

static int open_socket(int family) {
  int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  return fd < 0 ? failure() : fd;
}

/* --- TCP --- */

/* A bound socket, or a negative libuv error. */
static int bind_to(const struct sockaddr *name, socklen_t size, bool reuse_port) {
  int fd = open_socket(name->sa_family), on = 1, off = 0;
  if (fd < 0) return fd;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (reuse_port) setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  /* "::" is all addresses of both families, whatever the system's default is. */
  if (name->sa_family == AF_INET6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  if (bind(fd, name, size) == 0) return fd;
  int error = failure();
  close(fd);
  return error;
}

/* All addresses of both families, or of IPv4 where there is no IPv6. */
static int bind_to_all(const ListenAddress *address) {
  struct sockaddr_in6 v6 = {
      .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_ANY_INIT, .sin6_port = htons(address->port)};
  struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(address->port)};
  int fd = bind_to((struct sockaddr *)&v6, sizeof v6, address->reuse_port);
  if (fd != UV_EAFNOSUPPORT && fd != UV_EADDRNOTAVAIL) return fd;
  return bind_to((struct sockaddr *)&v4, sizeof v4, address->reuse_port);
}

static int bind_tcp(uv_loop_t *loop, const ListenAddress *address) {
  char service[8];
  snprintf(service, sizeof service, "%u", address->port);
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
  uv_getaddrinfo_t request; /* blocks: nothing is served yet */
  if (!*address->name) return bind_to_all(address);
  int rc = uv_getaddrinfo(loop, &request, NULL, address->name, service, &hints);
  if (rc) return rc;
  int fd = bind_to(request.addrinfo->ai_addr, request.addrinfo->ai_addrlen, address->reuse_port);
  uv_freeaddrinfo(request.addrinfo);
  return fd;
}

/* --- Unix sockets --- */

/* Removes what is left of a server that has ended. Returns 0, also if there is nothing, or a libuv
   error. */
static int remove_stale(const SocketName *name) {
  struct stat about;
  if (lstat(name->file.sun_path, &about)) return errno == ENOENT ? 0 : failure();
  if (!S_ISSOCK(about.st_mode)) return UV_EEXIST;
  int fd = open_socket(AF_UNIX);
  if (fd < 0) return fd;
  int error = connect(fd, &name->any, sizeof name->file) ? errno : 0;
  close(fd);
  if (error == ENOENT) return 0;
  if (error != ECONNREFUSED) return error == EACCES ? UV_EACCES : UV_EADDRINUSE;
  return unlink(name->file.sun_path) && errno != ENOENT ? failure() : 0;
}

/* Locks the folder of the file, so that of two servers that find the same stale file the second
   does not remove the socket of the first. The lock ends when the descriptor is closed; -1: there
   is none, and a server does without. */
static int lock_folder(const char *path) {
  const char *slash = strrchr(path, '/');
  char folder[sizeof(struct sockaddr_un)];
  snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - path) + 1 : 1, slash ? path : ".");
  int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  for (int i = 0; fd >= 0 && i < LOCK_TRIES && flock(fd, LOCK_EX | LOCK_NB); i++) poll(NULL, 0, 1);
  return fd;
}

static int bind_file(const ListenAddress *address, const SocketName *name, ListenSocket *s) {
  const char *path = name->file.sun_path;
  struct stat about;
  int error = remove_stale(name), fd = error ? error : open_socket(AF_UNIX);
  if (fd < 0) return fd;
  /* Nobody gets in with other permissions in between: it does not listen yet. The file has those of
     the socket but for what the umask takes, and in a sandbox they cannot be changed. */
  if (address->mode >= 0) fchmod(fd, (mode_t)address->mode);
  if (bind(fd, &name->any, sizeof name->file) || lstat(path, &about) ||
      (address->mode >= 0 && (about.st_mode & 07777) != (mode_t)address->mode &&
       chmod(path, (mode_t)address->mode))) {
    error = failure();
    close(fd);
    return error;
  }
  s->file = strdup(path);
  s->device = about.st_dev;
  s->inode = about.st_ino;
  return fd;
}

static int bind_unix(const ListenAddress *address, ListenSocket *s) {
  SocketName name = {.file = {.sun_family = AF_UNIX}};
  size_t n = strlen(address->name);
  if (n >= sizeof name.file.sun_path) return UV_ENAMETOOLONG;
  memcpy(name.file.sun_path, address->name, n + 1);
  int lock = lock_folder(address->name);
  int fd = bind_file(address, &name, s);
  if (lock >= 0) close(lock);
  return fd;
}

/* --- inherited ones --- */

int listen_borrow(int fd, ListenSocket *s) {
  int type, listens;
  socklen_t size = sizeof type;
  if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size)) return failure();
  if (type != SOCK_STREAM) return UV_EPROTOTYPE;
  size = sizeof listens;
  if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size)) return failure();
  if (!listens) return UV_EINVAL;
  int flags = fcntl(fd, F_GETFL);
  if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) || fcntl(fd, F_SETFD, FD_CLOEXEC))
    return failure();
  *s = (ListenSocket){.fd = fd, .borrowed = true};
  return 0;
}

/* --- all --- */

int listen_bind(uv_loop_t *loop, const ListenAddress *address, ListenSocket *s) {
  *s = (ListenSocket){.fd = -1};
  int fd = UV_EINVAL;
  if (address->kind == LISTEN_FD) {
    fd = listen_borrow(address->fd, s);
    if (!fd) fd = s->fd;
  } else if (address->kind == LISTEN_UNIX) {
    fd = bind_unix(address, s);
  } else if (address->kind == LISTEN_TCP) {
    fd = bind_tcp(loop, address);
  }
  if (fd < 0) return fd;
  s->fd = fd;
  s->tls = address->tls;
  return 0;
}

int listen_start(const ListenSocket *s, int backlog) {
  if (s->borrowed) return 0;
  return listen(s->fd, backlog ? backlog : BACKLOG) ? failure() : 0;
}

const char *listen_strerror(int error) {
  switch (error) {
  case UV_EEXIST:
    return "the file exists, and is not a socket";
  case UV_EPROTOTYPE:
    return "it is not a stream socket";
  case UV_ENOTSOCK:
    return "it is not a socket";
  case UV_EINVAL:
    return "it is not a socket that listens (a socket unit of systemd needs Accept=no)";
  default:
    return uv_strerror(error);
  }
}

static bool is_ours(const ListenSocket *s, const struct stat *about) {
  return about->st_dev == s->device && about->st_ino == s->inode;
}

int listen_give(const ListenSocket *s, uid_t user, gid_t group) {
  struct stat about;
  if (!s->file) return 0;
  /* Root gives away nothing that somebody has put in its place. */
  int fd = open(s->file, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return failure();
  int error = fstat(fd, &about)                              ? failure()
              : !is_ours(s, &about)                          ? UV_EEXIST
              : fchownat(fd, "", user, group, AT_EMPTY_PATH) ? failure()
                                                             : 0;
  close(fd);
  return error;
}

void listen_close(ListenSocket *s) {
  struct stat about;
  /* The number of a file that was made later may be the same only after the socket is closed. */
  if (s->file && lstat(s->file, &about) == 0 && is_ours(s, &about)) unlink(s->file);
  free(s->file);
  s->file = NULL;
  if (s->fd >= 0) close(s->fd);
  s->fd = -1;
}

void listen_end(ListenSocket *s) {
  if (s->fd >= 0 && !s->borrowed) shutdown(s->fd, SHUT_RDWR);
  listen_close(s);
}

/* The name of a bound socket, with a 0 at its end. */
static int read_name(int fd, SocketName *name) {
  socklen_t size = sizeof *name - 1;
  *name = (SocketName){0};
  return getsockname(fd, &name->any, &size) ? failure() : 0;
}

int listen_port(int fd) {
  SocketName name;
  int rc = read_name(fd, &name);
  if (rc) return rc;
  if (name.any.sa_family == AF_INET) return ntohs(name.v4.sin_port);
  return name.any.sa_family == AF_INET6 ? ntohs(name.v6.sin6_port) : UV_EAFNOSUPPORT;
}

void listen_describe(const ListenSocket *s, char *out, size_t size) {
  const char *scheme = s->tls ? "https" : "http";
  char host[INET6_ADDRSTRLEN];
  SocketName name;
  if (read_name(s->fd, &name)) {
    snprintf(out, size, "fd:%d", s->fd);
  } else if (name.any.sa_family == AF_INET6) {
    inet_ntop(AF_INET6, &name.v6.sin6_addr, host, sizeof host);
    snprintf(out, size, "%s://[%s]:%u", scheme, host, ntohs(name.v6.sin6_port));
  } else if (name.any.sa_family == AF_INET) {
    inet_ntop(AF_INET, &name.v4.sin_addr, host, sizeof host);
    snprintf(out, size, "%s://%s:%u", scheme, host, ntohs(name.v4.sin_port));
  } else {
    bool is_abstract = !*name.file.sun_path;
    snprintf(out, size, "unix:%s%s", is_abstract ? "@" : "", name.file.sun_path + is_abstract);
  }
}
