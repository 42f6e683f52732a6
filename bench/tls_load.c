/* New TLS connections to PORT, one after the other, each with one request: tls_load PORT
   full|resumed SECONDS. A resumed one continues the session of the first. Prints how many there
   were, and how many a second. Needs -lssl -lcrypto. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static const char request[] = "GET /plaintext HTTP/1.1\r\nHost: localhost\r\n\r\n";

static double now(void) {
  struct timespec at;
  clock_gettime(CLOCK_MONOTONIC, &at);
  return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

/* One connection. False if anything about it was not as it should be. */
static int connect_once(SSL_CTX *context, const struct sockaddr_in *place, SSL_SESSION **session,
                        int resumes) {
  int on = 1, fd = socket(AF_INET, SOCK_STREAM, 0), ok = 0;
  char in[4096];
  SSL *ssl = SSL_new(context);
  SSL_set_fd(ssl, fd);
  if (resumes && *session) SSL_set_session(ssl, *session);
  if (connect(fd, (const struct sockaddr *)place, sizeof *place) == 0) {
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    int expected = resumes && *session;
    ok = SSL_connect(ssl) == 1 && SSL_write(ssl, request, sizeof request - 1) > 0 &&
         SSL_read(ssl, in, sizeof in) > 12 && !memcmp(in, "HTTP/1.1 200", 12) &&
         SSL_session_reused(ssl) == expected;
  }
  if (ok && resumes && !*session) *session = SSL_get1_session(ssl); /* the ticket has come */
  SSL_shutdown(ssl);
  SSL_free(ssl);
  close(fd);
  return ok;
}

int main(int argc, char **argv) {
  if (argc != 4) return 2;
  struct sockaddr_in place = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[1]))};
  place.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  signal(SIGPIPE, SIG_IGN);
  SSL_CTX *context = SSL_CTX_new(TLS_client_method());
  SSL_SESSION *session = NULL;
  int resumes = !strcmp(argv[2], "resumed");
  long count = 0;
  double began = now(), end = began + atof(argv[3]);
  for (; now() < end; count++) {
    if (connect_once(context, &place, &session, resumes)) continue;
    fprintf(stderr, "connection %ld failed\n", count + 1);
    return 1;
  }
  printf("%ld %.1f\n", count, (double)count / (now() - began));
  return 0;
}
