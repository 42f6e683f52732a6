/* Where to listen, as users write it. */
#ifndef ML_LISTEN_ADDRESS_H
#define ML_LISTEN_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LISTEN_NAME_MAX = 256 }; /* bytes with the 0 at the end */

typedef enum ListenKind {
  LISTEN_TCP,
  LISTEN_UNIX,
  LISTEN_FD,    /* a descriptor that this process was started with */
  LISTEN_NAMED, /* those to which systemd has given a name */
} ListenKind;

typedef struct ListenAddress {
  ListenKind kind;
  char name[LISTEN_NAME_MAX]; /* a host, "" being all addresses; a path; a name of systemd's */
  uint16_t port;              /* 0: any free one */
  int fd;
  int mode;        /* of the file of a Unix socket, or -1: as the umask says */
  bool tls;        /* clients speak TLS */
  bool reuse_port; /* others may listen there, too, and share the clients (SO_REUSEPORT) */
} ListenAddress;

#define LISTEN_ADDRESS_FORMS "HOST:PORT, [IPv6]:PORT, :PORT, unix:PATH or fd:N"

/* Reads "127.0.0.1:80", "[::1]:80", ":80" (all addresses of both families), "unix:PATH", "fd:3" or
   "fd:NAME", behind which ",tls" and, for a Unix socket, ",mode=660" may stand. Returns NULL or
   what is wrong, a literal. */
const char *listen_address_read(const char *text, size_t n, ListenAddress *address);

/* An address of a host and a port; false if the host's name is too long. */
bool listen_address_tcp(const char *host, uint16_t port, ListenAddress *address);

/* Writes it for messages: "127.0.0.1 port 80", "all addresses, port 80", "unix:PATH", "fd:3". */
void listen_address_show(const ListenAddress *address, char *out, size_t size);

#endif
