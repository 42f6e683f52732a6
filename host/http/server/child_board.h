/* Data that the worker processes of one server share with each other and their supervisor: a page
   of shared memory with a place for each. With it they find out which of them has more than its
   share of the clients of their common listening socket. */
#ifndef ML_CHILD_BOARD_H
#define ML_CHILD_BOARD_H

#include "net/tls_tickets.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum {
  CHILDREN_MAX = 256,      /* at once, of one generation */
  CHILD_PLACES_MAX = 1024, /* of several generations: old ones may take long to end */
  CHILD_GROUP = 16,        /* bytes */
  CHILD_TOKEN = 33
};

/* One process writes it, all read it; it has its own cache line. */
typedef struct ChildPlace {
  _Alignas(64) _Atomic uint32_t connections; /* open ones */
  _Atomic uint64_t requests; /* requests for which handlers were started, since its start */
  atomic_bool accepts;       /* it accepts connections */
} ChildPlace;

typedef struct ChildBoard {
  _Atomic uint32_t used; /* all used places are before this one */
  ChildPlace places[CHILD_PLACES_MAX];
  TlsTicketKeys tickets;            /* the supervisor rotates them */
  unsigned char group[CHILD_GROUP]; /* tells these workers from those of other servers: random */
  _Atomic uint64_t screen;          /* of `dev`: a hash of what was last shown of the app */
  char inspect_token[CHILD_TOKEN];  /* what who asks their inspector has to know; "": none */
} ChildBoard;

/* The supervisor's own account. It believes nothing on the board, where each worker may write. */
typedef struct ChildPlaces {
  bool taken[CHILD_PLACES_MAX];
  uint32_t used; /* all that are taken are before this one */
} ChildPlaces;

/* A worker's view of the board. */
typedef struct ChildShare {
  ChildBoard *board;
  ChildPlace *own;
} ChildShare;

/* A new board; other processes map *fd, which the caller closes. NULL on failure: errno says
   why. */
ChildBoard *child_board_new(int *fd);

/* The board behind `fd`, which may be closed then; or NULL. */
ChildBoard *child_board_map(int fd);

/* Releases this process's view of the board. */
void child_board_unmap(ChildBoard *board);

/* The number of a free place, all zero; -1 if there is none. */
int child_board_take(ChildBoard *board, ChildPlaces *places);

/* The process of the place is gone. */
void child_board_give(ChildBoard *board, ChildPlaces *places, int place);

/* Does this worker have noticeably more connections than another one that accepts, or `most`, which
   the other one has not? */
bool child_board_is_over(const ChildShare *share, uint64_t most);

#endif
