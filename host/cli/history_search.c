#include "cli/history_search.h"

#include <stdio.h>
#include <string.h>

/* Finds the line again after a change of the text or of `older`. */
static void find(HistorySearch *search, History *history_of) {
  HistEvent event;
  int left = search->older;
  search->found = NULL;
  if (!search->length) return;
  for (int rc = history(history_of, &event, H_FIRST); rc >= 0;
       rc = history(history_of, &event, H_NEXT)) {
    if (!strstr(event.str, search->text) || left-- > 0) continue;
    search->found = event.str;
    return;
  }
}

void history_search_start(HistorySearch *search, History *history) {
  if (!search->active) {
    *search = (HistorySearch){.active = true};
    return;
  }
  const char *before = search->found;
  search->older++;
  find(search, history);
  if (search->found) return;
  search->older--; /* there is no older line */
  search->found = before;
}

static void remove_character(HistorySearch *search) {
  while (search->length && (search->text[search->length - 1] & 0xC0) == 0x80) search->length--;
  if (search->length) search->length--;
}

SearchKey history_search_key(HistorySearch *search, History *history, const char *key,
                             size_t length) {
  enum { GIVE_UP = 7, BACKSPACE = 8, NEXT = 18, DELETE = 127 };
  if (*key == NEXT) {
    history_search_start(search, history);
    return SEARCH_GOES_ON;
  }
  if (*key == GIVE_UP) {
    search->active = false;
    return SEARCH_GIVEN_UP;
  }
  if (*key == BACKSPACE || *key == DELETE) {
    remove_character(search);
  } else if ((unsigned char)*key < ' ') {
    search->active = false;
    return SEARCH_TAKEN;
  } else if (search->length + length < sizeof search->text) {
    memcpy(search->text + search->length, key, length);
    search->length += length;
  }
  search->text[search->length] = 0;
  search->older = 0;
  find(search, history);
  return SEARCH_GOES_ON;
}

void history_search_prompt(const HistorySearch *search, char *out, size_t size) {
  snprintf(out, size, "(%ssearch: %s) ", search->length && !search->found ? "nothing found, " : "",
           search->text);
}
