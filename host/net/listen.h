/* Listening sockets: TCP, Unix, and those that this process was started with. */
#ifndef ML_LISTEN_H
#define ML_LISTEN_H

#include "net/listen_address.h"
#include <sys/types.h>
#include <uv.h>

typedef struct ListenSocket {
  int fd;         /* non-blocking and closed on exec; -1: none */
  bool tls;       /* as its address says */
  bool redirects; /* clients are only sent to https */
  bool borrowed;  /* it was open when this program started, and others go on with it */
  char *file;     /* of a Unix socket that was bound here, until listen_close; or NULL */
  dev_t device;   /* where `file` is what was made */
  ino_t inode;
} ListenSocket;

/* Opens the socket of `address` and binds it: who connects is refused until listen_start. Looking a
   name up blocks. The file of a Unix socket on which nobody listens is replaced; any other file is
   an error. Returns 0 or a libuv error, for listen_strerror. */
int listen_bind(uv_loop_t *loop, const ListenAddress *address, ListenSocket *s);

/* Starts to listen on a bound socket; one that is `borrowed` does already. `backlog`: how many may
   wait to be accepted; 0: as many as the system allows. Returns 0 or a libuv error. */
int listen_start(const ListenSocket *s, int backlog);

/* Makes the file of a Unix socket that was bound here another user's, and group's: who may connect
   is what its mode says of these. Nothing for others. Returns 0 or a libuv error. */
int listen_give(const ListenSocket *s, uid_t user, gid_t group);

/* What went wrong, as words. */
const char *listen_strerror(int error);

/* Closes the socket, and removes its file if that is still the one that was made for it. */
void listen_close(ListenSocket *s);

/* Ends listening for all processes that hold the socket, and closes it here: new clients are
   refused at once instead of waiting for a process that is slow to close it. One that is `borrowed`
   is only closed. */
void listen_end(ListenSocket *s);

/* The port of a bound TCP socket, or a libuv error. */
int listen_port(int fd);

/* Writes where it listens: "http://127.0.0.1:8000", "https://[::1]:443", "unix:/run/app.sock". */
void listen_describe(const ListenSocket *s, char *out, size_t size);

/* Checks that `fd` is a stream socket that listens, and makes it fit for ListenSocket. Returns 0 or
   a libuv error. */
int listen_borrow(int fd, ListenSocket *s);

#endif
