/* The sockets on which `moonloop serve` listens: opened before any Lua runs, and before privileges
   are given up; with workers, opened by the supervisor and inherited. */
#ifndef ML_SERVE_SOCKETS_H
#define ML_SERVE_SOCKETS_H

#include "net/listen.h"
#include "serve/inspect_socket.h"

enum { SERVE_SOCKETS_MAX = 64 };

/* Where to listen, as the command line says. */
typedef struct ServeWhere {
  ListenAddress *list; /* --listen; or the one address of --host and --port */
  unsigned n;
  bool is_default; /* none of these options was given: sockets of systemd's come first */
  bool is_host;    /* --host or --port was given */
  bool redirects;  /* --redirect-https, on this port of the first host in the list: */
  uint16_t redirect_port;
  bool inspects; /* --inspect, there: */
  ListenAddress inspect;
} ServeWhere;

typedef struct ServeSockets {
  ListenSocket list[SERVE_SOCKETS_MAX];
  unsigned n;
  bool is_taken;         /* a server has them */
  InspectSocket inspect; /* not one of them */
} ServeSockets;

/* The name under which the main runtime's registry keeps them, a light userdata. */
#define SERVE_SOCKETS_KEY "moonloop.serve_sockets"

/* Opens and binds them. False: nothing is open, and `wrong` of `size` bytes says why. */
bool serve_sockets_open(ServeSockets *s, uv_loop_t *loop, const ServeWhere *where, char *wrong,
                        size_t size);

/* Starts to listen on all (on that of the inspector it has already begun), for processes that
 * inherit them. The same on failure. */
bool serve_sockets_start(ServeSockets *s, char *wrong, size_t size);

/* Makes the files of their Unix sockets another user's, and group's. Returns 0 or a libuv error. */
int serve_sockets_give(const ServeSockets *s, uid_t user, gid_t group);

/* Ends listening for all processes, and closes them. */
void serve_sockets_end(ServeSockets *s);

/* Sets of those that other processes listen on, too, what a server sets, since it may not any more
   in a sandbox. Gives their descriptors, at most SERVE_SOCKETS_MAX and that of the inspector, and
   returns how many. */
unsigned serve_sockets_seal(const ServeSockets *s, int fds[static SERVE_SOCKETS_MAX + 1]);

/* Closes those that no server has taken. */
void serve_sockets_close(ServeSockets *s);

/* What a worker has to know of them: a letter for each, at most SERVE_SOCKETS_MAX, one for
   that of the inspector, which comes last, and a 0. */
void serve_sockets_letters(const ServeSockets *s, char *letters);

/* A worker takes them from the descriptors `first` and following, as the letters say. False if
   these are not sockets. */
bool serve_sockets_inherit(ServeSockets *s, int first, const char *letters);

/* Writes where they listen, for people: "http://127.0.0.1:8000 and unix:/run/app.sock". */
void serve_sockets_describe(const ServeSockets *s, char *out, size_t size);

#endif
