#include "worker_board.h"

#include <sys/mman.h>
#include <unistd.h>

/* How many more connections than the worker with the fewest one may have: so many, and a part of
   those. Less would make workers wait for each other when clients come and go fast. */
#define SLACK 4
#define SLACK_QUOTIENT 16

WorkerBoard *worker_board_new(int *fd) {
  *fd = memfd_create("moonloop workers", MFD_CLOEXEC);
  if (*fd < 0) return NULL;
  WorkerBoard *board = ftruncate(*fd, sizeof(WorkerBoard)) == 0 ? worker_board_map(*fd) : NULL;
  if (!board) close(*fd);
  return board;
}

WorkerBoard *worker_board_map(int fd) {
  void *memory = mmap(NULL, sizeof(WorkerBoard), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  return memory == MAP_FAILED ? NULL : memory;
}

void worker_board_unmap(WorkerBoard *board) { munmap(board, sizeof *board); }

int worker_board_take(WorkerBoard *board) {
  for (int i = 0; i < WORKER_PLACES_MAX; i++) {
    WorkerPlace *place = &board->places[i];
    if (place->taken) continue;
    *place = (WorkerPlace){.taken = true};
    if ((uint32_t)i >= board->used) board->used = (uint32_t)i + 1;
    return i;
  }
  return -1;
}

void worker_board_give(WorkerBoard *board, int place) {
  board->places[place].accepts = false;
  board->places[place].taken = false;
  while (board->used && !board->places[board->used - 1].taken) board->used--;
}

bool worker_share_is_over(const WorkerShare *share) {
  const WorkerBoard *board = share->board;
  uint32_t own = atomic_load_explicit(&share->own->connections, memory_order_relaxed);
  uint32_t used = atomic_load_explicit(&board->used, memory_order_relaxed);
  for (uint32_t i = 0; i < used; i++) {
    const WorkerPlace *other = &board->places[i];
    if (!atomic_load_explicit(&other->accepts, memory_order_relaxed)) continue;
    uint32_t theirs = atomic_load_explicit(&other->connections, memory_order_relaxed);
    if (own > theirs + SLACK + theirs / SLACK_QUOTIENT) return true;
  }
  return false;
}
