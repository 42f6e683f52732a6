#include "http/server/child_board.h"

#include "base/shared_memory.h"

#include <sodium.h>
#include <sys/mman.h>
#include <unistd.h>

/* How many more connections a worker may have than the one with the fewest: this many, plus a
   fraction of those. With less, workers would wait for each other when clients come and go fast. */
#define SLACK 4
#define SLACK_QUOTIENT 16

ChildBoard *child_board_new(int *fd) {
  *fd = shared_memory_new("moonloop workers", sizeof(ChildBoard));
  if (*fd < 0) return NULL;
  ChildBoard *board = child_board_map(*fd);
  if (board)
    randombytes_buf(board->group, sizeof board->group);
  else
    close(*fd);
  return board;
}

ChildBoard *child_board_map(int fd) {
  void *memory = mmap(NULL, sizeof(ChildBoard), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  return memory == MAP_FAILED ? NULL : memory;
}

void child_board_unmap(ChildBoard *board) { munmap(board, sizeof *board); }

/* Whatever another process has written there. */
static uint32_t used_of(const ChildBoard *board) {
  uint32_t used = atomic_load_explicit(&board->used, memory_order_relaxed);
  return used < CHILD_PLACES_MAX ? used : CHILD_PLACES_MAX;
}

int child_board_take(ChildBoard *board, ChildPlaces *places) {
  for (int i = 0; i < CHILD_PLACES_MAX; i++) {
    if (places->taken[i]) continue;
    places->taken[i] = true;
    if ((uint32_t)i >= places->used) places->used = (uint32_t)i + 1;
    board->places[i] = (ChildPlace){0};
    board->used = places->used;
    return i;
  }
  return -1;
}

void child_board_give(ChildBoard *board, ChildPlaces *places, int place) {
  places->taken[place] = false;
  while (places->used && !places->taken[places->used - 1]) places->used--;
  board->places[place].accepts = false;
  board->used = places->used;
}

bool child_board_is_over(const ChildShare *share, uint64_t most) {
  const ChildBoard *board = share->board;
  uint32_t own = atomic_load_explicit(&share->own->connections, memory_order_relaxed);
  uint32_t used = used_of(board);
  for (uint32_t i = 0; i < used; i++) {
    const ChildPlace *other = &board->places[i];
    if (!atomic_load_explicit(&other->accepts, memory_order_relaxed)) continue;
    uint32_t theirs = atomic_load_explicit(&other->connections, memory_order_relaxed);
    if (own > theirs + SLACK + theirs / SLACK_QUOTIENT || (own >= most && theirs < most))
      return true;
  }
  return false;
}
