/* What the worker processes of one server tell each other and their supervisor: a page of memory
   that all of them share, with a place for each. It is how they find out who has more than its
   share of the clients of their common listening socket. */
#ifndef ML_WORKER_BOARD_H
#define ML_WORKER_BOARD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum {
  WORKERS_MAX = 256,       /* at once, of one generation */
  WORKER_PLACES_MAX = 1024 /* of several: old ones may take long to end */
};

/* One process writes it, all read it; a cache line of its own. */
typedef struct WorkerPlace {
  _Alignas(64) _Atomic uint32_t connections; /* open ones */
  _Atomic uint64_t requests;                 /* that handlers were started for, since its start */
  atomic_bool accepts;                       /* it takes connections */
  bool taken;                                /* the supervisor's own */
} WorkerPlace;

typedef struct WorkerBoard {
  _Atomic uint32_t used; /* all places in use are before this one */
  WorkerPlace places[WORKER_PLACES_MAX];
} WorkerBoard;

/* A worker's view of the board. */
typedef struct WorkerShare {
  WorkerBoard *board;
  WorkerPlace *own;
} WorkerShare;

/* A new board; *fd is what other processes map, the caller's to close. NULL where it cannot be had:
   errno says why. */
WorkerBoard *worker_board_new(int *fd);

/* The board behind `fd`, which may be closed then; or NULL. */
WorkerBoard *worker_board_map(int fd);

/* Gives this process's view of the board back. */
void worker_board_unmap(WorkerBoard *board);

/* The number of a free place, all zero; -1: there is none. The supervisor alone takes and gives. */
int worker_board_take(WorkerBoard *board);

/* The process of the place is gone. */
void worker_board_give(WorkerBoard *board, int place);

/* Has this worker noticeably more connections than some other one that accepts? */
bool worker_share_is_over(const WorkerShare *share);

#endif
