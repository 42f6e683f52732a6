#include "sql/sqlite/sqlite_list.h"

#include <strings.h>

static bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

static const char *back_over_spaces(const char *at, const char *start) {
  while (at > start && is_space(at[-1])) at--;
  return at;
}

/* Does the word end at `at`? Then where it begins. */
static const char *back_over_word(const char *at, const char *start, const char *word) {
  size_t n = strlen(word);
  if ((size_t)(at - start) < n || strncasecmp(at - n, word, n) != 0) return NULL;
  return at - n;
}

/* Where the operator before the place begins, if it is `= any(` or `<> all(`. */
static const char *find_operator(const char *place, const char *start, bool *negated) {
  const char *at = back_over_spaces(place, start);
  if (at == start || at[-1] != '(') return NULL;
  at = back_over_spaces(at - 1, start);
  const char *word = back_over_word(at, start, "any");
  *negated = !word;
  if (!word) word = back_over_word(at, start, "all");
  if (!word) return NULL;
  at = back_over_spaces(word, start);
  if (*negated) {
    const char *operator= back_over_word(at, start, "<>");
    return operator? operator: back_over_word(at, start, "!=");
  }
  if (at == start || at[-1] != '=') return NULL;
  at--;
  return at > start && strchr("<>!=:", at[-1]) ? NULL : at;
}

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static bool in_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) || c == '_';
}

/* Steps over `[]` or `[3]`; returns `at` where there is none. */
static const char *skip_brackets(const char *at) {
  const char *end = at;
  if (*end++ != '[') return at;
  while (is_digit(*end)) end++;
  return *end == ']' ? end + 1 : at;
}

/* Steps over `::type[]` and the closing parenthesis behind the place; NULL: they are not there. */
static const char *find_end(const char *at) {
  while (is_space(*at)) at++;
  if (at[0] == ':' && at[1] == ':') {
    at += 2;
    while (is_space(*at) || in_word(*at)) at++;
    for (const char *end; (end = skip_brackets(at)) != at;) at = end;
    while (is_space(*at)) at++;
  }
  return *at == ')' ? at + 1 : NULL;
}

bool sqlite_list_rewrite(const SqlText *text, Buffer *out, unsigned char *uses) {
  enum { VALUE = 1, LIST = 2 };
  const char *start = text->text.data, *from = start;
  memset(uses, 0, text->parameters);
  for (unsigned i = 0; i < text->place_count; i++) {
    const SqlPlace *place = &text->places[i];
    const char *at = start + place->offset;
    size_t bare = place->bare < (size_t)(at - from) ? place->bare : (size_t)(at - from);
    bool negated;
    const char *end = find_end(at + place->len);
    const char *operator= end ? find_operator(at, at - bare, &negated) : NULL;
    uses[place->number - 1] |= operator? LIST : VALUE;
    if (!operator) continue;
    if (!buffer_add(out, from, (size_t)(operator- from)) ||
        !buffer_printf(out, "%s in (select value from json_each($%u))", negated ? " not" : "",
                       (unsigned)place->number))
      return false;
    from = end;
  }
  for (unsigned i = 0; i < text->parameters; i++) {
    uses[i] = uses[i] == LIST             ? SQLITE_LIST_ALWAYS
              : uses[i] == (LIST | VALUE) ? SQLITE_LIST_MIXED
                                          : SQLITE_LIST_NEVER;
  }
  return buffer_add(out, from, text->text.len - (size_t)(from - start));
}
