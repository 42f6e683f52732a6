#include "inspect/inspector_socket.h"

#include "core/interrupt.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 64

/* How often, and after how many milliseconds, a full queue is tried again. */
enum { TRIES = 100, PAUSE = 10 };

/* How long a client may take to ask and to read, since the process does nothing else meanwhile. */
static const struct timeval ask_limit = {0, 200000}, read_limit = {1, 0};

/* Fills in the socket's name and returns its size. */
static socklen_t address_of(long pid, struct sockaddr_un *address) {
  *address = (struct sockaddr_un){.sun_family = AF_UNIX};
  int n = snprintf(address->sun_path + 1, sizeof address->sun_path - 1, "moonloop/%ld", pid);
  return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n);
}

int inspector_socket_listen(void) {
  struct sockaddr_un address;
  socklen_t size = address_of(getpid(), &address);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  if (bind(fd, (struct sockaddr *)&address, size) == 0 && listen(fd, BACKLOG) == 0) return fd;
  close(fd);
  return -1;
}

static bool has_peer(int fd, struct ucred *peer) {
  socklen_t size = sizeof *peer;
  return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, peer, &size) == 0 && peer->uid == geteuid();
}

bool inspector_socket_is_ours(int fd) {
  struct ucred peer;
  return has_peer(fd, &peer);
}

/* Makes the main thread of the process look, though Lua runs there. Whose process it is the kernel
   checks; others ignore the signal. */
static void interrupt(pid_t pid) { syscall(SYS_tgkill, pid, pid, INTERRUPT_SIGNAL); }

/* Connects, though others may keep the queue full while the process is busy. */
static bool connect_to(int fd, long pid) {
  struct sockaddr_un address;
  socklen_t size = address_of(pid, &address);
  for (unsigned i = 0; connect(fd, (struct sockaddr *)&address, size); i++) {
    if (errno != EAGAIN || i == TRIES) return false;
    interrupt((pid_t)pid);
    poll(NULL, 0, PAUSE);
  }
  return true;
}

int inspector_socket_connect(long pid) {
  struct ucred peer;
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  bool is_connected = connect_to(fd, pid);
  if (is_connected && has_peer(fd, &peer)) {
    interrupt(peer.pid);
    return fd;
  }
  int error = is_connected ? EPERM : errno;
  close(fd);
  errno = error;
  return -1;
}

char inspector_socket_question(int fd, char question[ASK_LONGEST]) {
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &ask_limit, sizeof ask_limit);
  ssize_t n = inspector_socket_is_ours(fd) ? recv(fd, question, ASK_LONGEST - 1, 0) : 0;
  question[n > 0 ? n : 0] = '\0'; /* it was sent in one piece */
  return question[0];
}

void inspector_socket_answer(int fd, const char *text, size_t n) {
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &read_limit, sizeof read_limit);
  for (size_t sent = 0; sent < n;) {
    ssize_t now = send(fd, text + sent, n - sent, MSG_NOSIGNAL);
    if (now < 0 && errno == EINTR) continue;
    if (now <= 0) break;
    sent += (size_t)now;
  }
  close(fd);
}
