/* The load on servers of WebSockets: ws_load PORT PATH CONNECTIONS SIZE SECONDS echo|publish

   Opens the connections, prints "up", and waits for a line. Then, for so many seconds, text
   messages of SIZE bytes are sent. With "echo" each connection sends one, and the next when it has
   come back; with "publish" the first connection sends one, and the next when all have received it.
   With 0 seconds there is one message, or one each.

   Prints how many messages came, the seconds that took, and the p50 and p99 of the seconds between
   sending a message and its arrival, or the last of its arrivals. A frame that is not the expected
   one, byte for byte, ends it with 1. */
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

enum { EVENTS = 512, MAX_SIZE = 60000, MAX_HEAD = 4000, PATIENCE_MS = 20000 };
enum { LINE = 16, LINES = 64 * LINE }; /* of the histogram: so many buckets for each power of two */

typedef struct Client {
  int fd;
  size_t got;  /* bytes of the present frame */
  double sent; /* when its message was sent */
} Client;

static Client *clients;
static uint32_t count;
static char frame[MAX_SIZE + 8], expected[MAX_SIZE + 4], in[256 * 1024];
static size_t frame_size, expected_size;
static long messages, histogram[LINES];

static double now(void) {
  struct timespec at;
  clock_gettime(CLOCK_MONOTONIC, &at);
  return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static void refuse(const char *what) {
  fprintf(stderr, "%s\n", what);
  exit(1);
}

/* The logarithmic bucket of a time, in nanoseconds. */
static int bucket_of(double seconds) {
  unsigned long ns = seconds > 0 ? (unsigned long)(seconds * 1e9) : 0;
  int power = 0;
  while (ns >> power >= 2 * LINE) power++;
  return power * LINE + (int)(ns >> power);
}

static double quantile(double part) {
  long all = 0, so_far = 0;
  for (int i = 0; i < LINES; i++) all += histogram[i];
  for (int i = 0; i < LINES; i++) {
    so_far += histogram[i];
    if ((double)so_far < part * (double)all || !so_far) continue;
    int power = i < 2 * LINE ? 0 : i / LINE - 1;
    return (double)((unsigned long)(i - power * LINE) << power) / 1e9;
  }
  return 0;
}

/* The message as a client's frame, masked, and as the server's. */
static void make_frames(size_t size) {
  const char mask[4] = {0x12, 0x34, 0x56, 0x78};
  size_t head = size < 126 ? 2 : 4;
  expected[0] = (char)0x81;
  expected[1] = (char)(size < 126 ? size : 126);
  expected[2] = (char)(size >> 8);
  expected[3] = (char)size;
  for (size_t i = 0; i < size; i++) expected[head + i] = (char)('a' + i % 26);
  expected_size = head + size;
  memcpy(frame, expected, head);
  frame[1] = (char)(frame[1] | 0x80);
  memcpy(frame + head, mask, 4);
  for (size_t i = 0; i < size; i++) frame[head + 4 + i] = (char)(expected[head + i] ^ mask[i & 3]);
  frame_size = expected_size + 4;
}

/* Connects, and shakes hands. Reads byte by byte, to leave what comes after the head. */
static int open_socket(int port, const char *path) {
  struct sockaddr_in place = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  place.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
  if (connect(fd, (struct sockaddr *)&place, sizeof place)) fail("connect");
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  char head[MAX_HEAD];
  const char *request = "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\n"
                        "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                        "Sec-WebSocket-Version: 13\r\n\r\n";
  int n = snprintf(head, sizeof head, request, path, port);
  if (write(fd, head, (size_t)n) != n) fail("write");
  size_t got = 0;
  while (got < 4 || memcmp(head + got - 4, "\r\n\r\n", 4) != 0) {
    if (got == sizeof head || read(fd, head + got, 1) != 1) refuse("no head of a response came");
    got++;
  }
  if (memcmp(head, "HTTP/1.1 101", 12) != 0) refuse("the upgrade was refused");
  return fd;
}

static void send_message(Client *client) {
  client->sent = now();
  if (write(client->fd, frame, frame_size) != (ssize_t)frame_size) fail("write");
}

/* Reads what has come for a client. Returns how many messages were completed. */
static int receive(Client *client) {
  ssize_t n = read(client->fd, in, sizeof in);
  if (n <= 0) refuse("a connection has ended");
  int complete = 0;
  for (ssize_t at = 0; at < n;) {
    size_t part = expected_size - client->got;
    if (part > (size_t)(n - at)) part = (size_t)(n - at);
    if (memcmp(in + at, expected + client->got, part) != 0)
      refuse("another frame than the expected one came");
    at += (ssize_t)part;
    client->got = (client->got + part) % expected_size;
    if (!client->got) complete++;
  }
  messages += complete;
  return complete;
}

static int wait_for(int poll, struct epoll_event *events) {
  int n = epoll_wait(poll, events, EVENTS, PATIENCE_MS);
  if (n <= 0) refuse("nothing came any more");
  return n;
}

static void echo(int poll, double seconds) {
  struct epoll_event events[EVENTS];
  double end = now() + seconds;
  for (uint32_t i = 0; i < count; i++) send_message(&clients[i]);
  for (uint32_t busy = count; busy;) {
    int n = wait_for(poll, events);
    double at = now();
    for (int k = 0; k < n; k++) {
      Client *client = &clients[events[k].data.u32];
      if (!receive(client)) continue;
      histogram[bucket_of(at - client->sent)]++;
      if (at < end)
        send_message(client);
      else
        busy--;
    }
  }
}

static void publish(int poll, double seconds) {
  struct epoll_event events[EVENTS];
  double end = now() + seconds;
  do {
    send_message(&clients[0]);
    for (uint32_t left = count; left;) {
      int n = wait_for(poll, events);
      for (int k = 0; k < n; k++) left -= (uint32_t)receive(&clients[events[k].data.u32]);
    }
    histogram[bucket_of(now() - clients[0].sent)]++;
  } while (now() < end);
}

int main(int argc, char **argv) {
  if (argc != 7) return 2;
  int poll = epoll_create1(0);
  count = (uint32_t)atoi(argv[3]);
  size_t size = (size_t)atoi(argv[4]);
  if (!count || size > MAX_SIZE) return 2;
  clients = calloc(count, sizeof *clients);
  if (!clients) fail("calloc");
  make_frames(size);
  for (uint32_t i = 0; i < count; i++) {
    clients[i].fd = open_socket(atoi(argv[1]), argv[2]);
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = i};
    if (epoll_ctl(poll, EPOLL_CTL_ADD, clients[i].fd, &event)) fail("epoll_ctl");
  }
  printf("up\n");
  fflush(stdout);
  if (getchar() == EOF) return 0;
  double began = now();
  (argv[6][0] == 'e' ? echo : publish)(poll, atof(argv[5]));
  printf("%ld %.9f %.9f %.9f\n", messages, now() - began, quantile(0.5), quantile(0.99));
  return 0;
}
