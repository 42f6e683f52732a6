/* as_service [OPTIONS] COMMAND...: becomes the command, as a service of systemd's would be started:

     --socket NAME=PORT   a listening socket on 127.0.0.1, passed from descriptor 3 on; 0: any port
     --socket NAME=PATH   the same, a Unix socket
     --plain              without the variables that tell of them
     --notify PATH LOG    listens at the datagram socket PATH ("@NAME": an abstract one), and writes
                          what comes to LOG, a line for each datagram, with spaces for line ends
     --watchdog USEC      asks for a sign of life that often
     --no-io-uring        forbids io_uring, as containers do
     --filtered           forbids seccomp and capset, as SystemCallFilter=@system-service does with
                          ~@privileged
     --etc FOLDER         sees the folder as /etc; only root can */
#include "forbid_call.h"
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { FIRST = 3 };

static void die(const char *what) {
  perror(what);
  exit(1);
}

static socklen_t unix_name(struct sockaddr_un *name, const char *path) {
  size_t n = strlen(path);
  *name = (struct sockaddr_un){.sun_family = AF_UNIX};
  if (n >= sizeof name->sun_path) die(path);
  memcpy(name->sun_path, path, n);
  if (*path == '@') name->sun_path[0] = 0;
  return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + (*path != '@'));
}

static int listen_at(const char *where) {
  char *end;
  long port = strtol(where, &end, 10);
  struct sockaddr_in v4 = {.sin_family = AF_INET,
                           .sin_port = htons((uint16_t)port),
                           .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  struct sockaddr_un file;
  int fd = socket(*end ? AF_UNIX : AF_INET, SOCK_STREAM, 0);
  int rc = *end ? bind(fd, (struct sockaddr *)&file, unix_name(&file, where))
                : bind(fd, (struct sockaddr *)&v4, sizeof v4);
  if (rc || listen(fd, 100)) die(where);
  return fd;
}

/* A process that writes down what comes, and ends with this one. */
static void keep_log(const char *path, const char *log) {
  struct sockaddr_un name;
  pid_t parent = getpid();
  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (bind(fd, (struct sockaddr *)&name, unix_name(&name, path))) die(path);
  int out = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (out < 0) die(log);
  pid_t pid = fork();
  if (pid < 0) die("fork");
  if (pid) {
    close(fd);
    close(out);
    setenv("NOTIFY_SOCKET", path, 1);
    return;
  }
  /* What has come is written down before it ends: the last word is sent just before this process
     does. */
  sigset_t end;
  sigemptyset(&end);
  sigaddset(&end, SIGTERM);
  sigprocmask(SIG_BLOCK, &end, NULL);
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  for (int i = 0; i < 3; i++) close(i);
  struct pollfd waits[] = {{.fd = fd, .events = POLLIN},
                           {.fd = signalfd(-1, &end, SFD_CLOEXEC), .events = POLLIN}};
  char text[4096];
  for (bool is_over = getppid() != parent; !is_over;) {
    if (poll(waits, 2, -1) < 0) continue;
    is_over = waits[1].revents != 0;
    for (ssize_t n; (n = recv(fd, text, sizeof text - 1, MSG_DONTWAIT)) >= 0;) {
      for (ssize_t i = 0; i < n; i++)
        if (text[i] == '\n') text[i] = ' ';
      text[n] = '\n';
      if (write(out, text, (size_t)n + 1) < 0) exit(1);
    }
  }
  exit(0);
}

int main(int argc, char **argv) {
  char names[1024] = "", number[32];
  const char *notify = NULL, *log = NULL;
  int n = 0, at = 1, sockets[16], is_plain = 0;
  for (; at + 1 < argc && argv[at][0] == '-'; at++) {
    if (!strcmp(argv[at], "--socket") && n < 16) {
      char *where = strchr(argv[++at], '=');
      if (!where) die("--socket");
      *where++ = 0;
      if (n) strncat(names, ":", sizeof names - strlen(names) - 1);
      strncat(names, argv[at], sizeof names - strlen(names) - 1);
      sockets[n++] = listen_at(where);
    } else if (!strcmp(argv[at], "--notify") && at + 2 < argc) {
      notify = argv[++at];
      log = argv[++at];
    } else if (!strcmp(argv[at], "--watchdog")) {
      setenv("WATCHDOG_USEC", argv[++at], 1);
      snprintf(number, sizeof number, "%d", getpid());
      setenv("WATCHDOG_PID", number, 1);
    } else if (!strcmp(argv[at], "--plain")) {
      is_plain = 1;
    } else if (!strcmp(argv[at], "--no-io-uring")) {
      if (forbid_call(SYS_io_uring_setup)) die(argv[at]);
    } else if (!strcmp(argv[at], "--filtered")) {
      if (forbid_call(SYS_capset) || forbid_call(SYS_seccomp)) die(argv[at]);
    } else if (!strcmp(argv[at], "--etc")) {
      if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
          mount(argv[++at], "/etc", NULL, MS_BIND, NULL))
        die("--etc");
    } else {
      die(argv[at]);
    }
  }
  if (notify) keep_log(notify, log);
  for (int i = 0; i < n; i++) /* they may be there already: out of the way first */
    if ((sockets[i] = fcntl(sockets[i], F_DUPFD_CLOEXEC, FIRST + 32)) < 0) die("dup");
  for (int i = 0; i < n; i++)
    if (dup2(sockets[i], FIRST + i) < 0) die("dup2");
  if (n && !is_plain) {
    snprintf(number, sizeof number, "%d", n);
    setenv("LISTEN_FDS", number, 1);
    snprintf(number, sizeof number, "%d", getpid());
    setenv("LISTEN_PID", number, 1);
    setenv("LISTEN_FDNAMES", names, 1);
  }
  if (at < argc) execv(argv[at], argv + at);
  die("exec");
}
