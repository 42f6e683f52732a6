/* dial LETTERS [ATTEMPTS]: lets host/net/dial.c connect to a host that has one address for each
   letter, and prints what it did. When so many ATTEMPTS are under way it is cancelled. The letters:
     a  answers           h  never answers
     r  refuses           l  answers late, 100 ms after the next has been tried
     u  cannot be reached
   A letter in capitals is an IPv6 address.

   Prints a line for each attempt, the letter and the milliseconds since the one before; then how it
   ended, the letter that is connected or the error; and how many attempts were left open. */
#include "net/dial.h"
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAX_LETTERS = 20, PORT = 80 };

static struct {
  const char *letters;
  int fds[MAX_LETTERS], peers[MAX_LETTERS]; /* of the attempts; 0: none */
  uint64_t tried_at;
  int attempts, cancelled_at; /* so many of them: 0 is never */
  uv_timer_t late, cancel;
  Dial *dial;
  bool over;
  int result;
} all;

/* --- the system's calls --- */

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                struct addrinfo **found) {
  (void)node;
  (void)service;
  (void)hints;
  for (size_t i = strlen(all.letters); i--;) {
    struct addrinfo *info = calloc(1, sizeof *info + sizeof(struct sockaddr_in6));
    bool is_v6 = isupper((unsigned char)all.letters[i]);
    info->ai_family = is_v6 ? AF_INET6 : AF_INET;
    info->ai_addrlen = is_v6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    info->ai_addr = (struct sockaddr *)(info + 1);
    info->ai_addr->sa_family = (sa_family_t)info->ai_family;
    /* Says which it is; in an IPv6 address the flow has this place. */
    ((struct sockaddr_in *)info->ai_addr)->sin_addr.s_addr = (in_addr_t)i;
    info->ai_next = *found;
    *found = info;
  }
  return 0;
}

void freeaddrinfo(struct addrinfo *info) {
  for (struct addrinfo *next; info; info = next) {
    next = info->ai_next;
    free(info);
  }
}

/* Puts one end of a pair of sockets in the place of `fd`; returns the other. */
static int replace(int fd) {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) || dup2(pair[0], fd) < 0) abort();
  close(pair[0]);
  return pair[1];
}

static void fill(int fd) {
  static const char bytes[65536];
  while (write(fd, bytes, sizeof bytes) > 0 || write(fd, bytes, 1) > 0) {
  }
}

static void drain(int fd) {
  static char bytes[65536];
  while (read(fd, bytes, sizeof bytes) > 0) {
  }
}

static void on_cancel(uv_timer_t *timer);

static void on_late(uv_timer_t *timer) {
  (void)timer;
  for (int i = 0; all.letters[i]; i++)
    if (tolower((unsigned char)all.letters[i]) == 'l' && all.fds[i]) drain(all.peers[i]);
}

int connect(int fd, const struct sockaddr *address, socklen_t size) {
  (void)size;
  const struct sockaddr_in *in = (const struct sockaddr_in *)address;
  if (ntohs(in->sin_port) != PORT) abort();
  int i = (int)in->sin_addr.s_addr;
  uint64_t now = uv_hrtime();
  printf("%c %d\n", all.letters[i], all.tried_at ? (int)((now - all.tried_at) / 1000000) : 0);
  if (all.tried_at && !uv_is_active((uv_handle_t *)&all.late))
    uv_timer_start(&all.late, on_late, 100, 0);
  all.tried_at = now;
  if (++all.attempts == all.cancelled_at) uv_timer_start(&all.cancel, on_cancel, 0, 0);
  int letter = tolower((unsigned char)all.letters[i]);
  if (letter == 'r' || letter == 'u') {
    errno = letter == 'r' ? ECONNREFUSED : ENETUNREACH;
    return -1;
  }
  all.fds[i] = fd;
  all.peers[i] = replace(fd);
  if (letter != 'a') fill(fd);
  errno = EINPROGRESS;
  return -1;
}

/* --- dialing --- */

static void on_dialed(void *data, int result) {
  (void)data;
  all.over = true;
  all.result = result;
}

static void on_cancel(uv_timer_t *timer) {
  (void)timer;
  dial_cancel(all.dial);
  on_dialed(NULL, UV_ECANCELED);
}

static bool is_over(void *data) {
  (void)data;
  return all.over;
}

static void report(void) {
  int left_open = 0;
  const char *won = NULL;
  for (int i = 0; all.letters[i]; i++) {
    if (all.result >= 0 && all.fds[i] == all.result)
      won = &all.letters[i];
    else if (all.fds[i] && fcntl(all.fds[i], F_GETFD) >= 0)
      left_open++;
  }
  if (won)
    printf("connected %c\n", *won);
  else
    printf("%s\n", uv_err_name(all.result));
  printf("open %d\n", left_open);
}

int main(int argc, char **argv) {
  if (argc < 2 || strlen(argv[1]) > MAX_LETTERS) return 2;
  all.letters = argv[1];
  Runtime *rt = runtime_new(NULL);
  if (!rt) return 2;
  uv_timer_init(&rt->loop, &all.late);
  uv_timer_init(&rt->loop, &all.cancel);
  if (argc > 2) all.cancelled_at = atoi(argv[2]);
  DialEndpoint endpoint = {.host = "host.test", .port = PORT};
  int result = dial_start(rt, &endpoint, on_dialed, NULL, &all.dial);
  if (result != DIALING) on_dialed(NULL, result);
  runtime_run(rt, is_over, NULL);
  report();
  if (all.result >= 0) close(all.result);
  for (int i = 0; all.letters[i]; i++)
    if (all.peers[i]) close(all.peers[i]);
  uv_close((uv_handle_t *)&all.late, NULL);
  uv_close((uv_handle_t *)&all.cancel, NULL);
  return runtime_close(rt) ? 1 : 0;
}
