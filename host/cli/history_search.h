/* Ctrl-R at the prompt: finds a line of the history that contains the typed text. */
#ifndef ML_HISTORY_SEARCH_H
#define ML_HISTORY_SEARCH_H

#include <histedit.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct HistorySearch {
  bool active;
  char text[64]; /* the text to find */
  size_t length;
  int older;         /* how many matching lines are skipped, newest first */
  const char *found; /* the history's own, or NULL */
} HistorySearch;

typedef enum SearchKey {
  SEARCH_GOES_ON,
  SEARCH_TAKEN,    /* over: the found line is edited, and the key goes to the editor */
  SEARCH_GIVEN_UP, /* over: the line is restored */
} SearchKey;

/* Begins the search, or moves on to an older line if it has begun. */
void history_search_start(HistorySearch *search, History *history);

/* Handles a key: the bytes of one character. */
SearchKey history_search_key(HistorySearch *search, History *history, const char *key,
                             size_t length);

/* Writes the prompt of the search into `out` of `size` bytes. */
void history_search_prompt(const HistorySearch *search, char *out, size_t size);

#endif
