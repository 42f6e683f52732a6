/* Lua patterns (section 6.4.1 of the manual), without captures: string.find has no limit to what a
   text may cost. */
#include "schema/schema_pattern.h"

#include <ctype.h>
#include <string.h>

#define STEPS_MAX 2000000
#define STEPS_SHORT 50000
#define STEPS_BYTE 1000 /* more for each byte */
#define STEPS_PCRE 8    /* take as long as one of libpcre2-8 */
#define DEPTH_MAX 200

typedef struct Match {
  const char *s, *end, *pattern_end;
  long steps;
  int depth;
} Match;

static bool in_class(unsigned char c, unsigned char class) {
  bool is = false;
  switch (tolower(class)) {
  case 'a':
    is = isalpha(c);
    break;
  case 'c':
    is = iscntrl(c);
    break;
  case 'd':
    is = isdigit(c);
    break;
  case 'g':
    is = isgraph(c);
    break;
  case 'l':
    is = islower(c);
    break;
  case 'p':
    is = ispunct(c);
    break;
  case 's':
    is = isspace(c);
    break;
  case 'u':
    is = isupper(c);
    break;
  case 'w':
    is = isalnum(c);
    break;
  case 'x':
    is = isxdigit(c);
    break;
  default:
    return class == c;
  }
  return isupper(class) ? !is : is;
}

/* Behind the single item (a character, a class or a set) at `p`; NULL where it is cut off. */
static const char *item_end(const Match *m, const char *p) {
  char c = *p++;
  if (c == '%') return p < m->pattern_end ? p + 1 : NULL;
  if (c != '[') return p;
  if (p < m->pattern_end && *p == '^') p++;
  do {
    if (p >= m->pattern_end) return NULL;
    if (*p++ == '%' && p < m->pattern_end) p++;
  } while (p >= m->pattern_end || *p != ']');
  return p + 1;
}

/* Is the character in the set from the bracket at `p` to the one before `end`? */
static bool in_set(unsigned char c, const char *p, const char *end) {
  bool wanted = true;
  end--;
  if (*++p == '^') wanted = false, p++;
  for (; p < end; p++) {
    if (*p == '%' && p + 1 < end) {
      if (in_class(c, (unsigned char)*++p)) return wanted;
    } else if (p + 2 < end && p[1] == '-') {
      if ((unsigned char)p[0] <= c && c <= (unsigned char)p[2]) return wanted;
      p += 2;
    } else if ((unsigned char)*p == c) {
      return wanted;
    }
  }
  return !wanted;
}

static bool fits(Match *m, const char *s, const char *p, const char *end) {
  m->steps--;
  if (s >= m->end) return false;
  unsigned char c = (unsigned char)*s;
  if (*p == '.') return true;
  if (*p == '%') return in_class(c, (unsigned char)p[1]);
  if (*p == '[') return in_set(c, p, end);
  return (unsigned char)*p == c;
}

static bool match(Match *m, const char *s, const char *p);

/* As many as there are, and fewer if the rest does not match then. */
static bool match_most(Match *m, const char *s, const char *p, const char *end) {
  const char *last = s;
  while (fits(m, last, p, end)) last++;
  for (; last >= s && m->steps > 0; last--)
    if (match(m, last, end + 1)) return true;
  return false;
}

static bool match_balanced(Match *m, const char *s, const char *p) {
  int open = 1;
  if (s >= m->end || *s != p[2]) return false;
  while (++s < m->end) {
    m->steps--;
    if (*s == p[3]) {
      if (--open == 0) return match(m, s + 1, p + 4);
    } else if (*s == p[2]) {
      open++;
    }
  }
  return false;
}

static bool match_frontier(Match *m, const char *s, const char *p) {
  const char *set = p + 2;
  if (set >= m->pattern_end || *set != '[') return false;
  const char *end = item_end(m, set);
  if (!end) return false;
  unsigned char before = s == m->s ? 0 : (unsigned char)s[-1];
  unsigned char here = s < m->end ? (unsigned char)*s : 0;
  return !in_set(before, set, end) && in_set(here, set, end) && match(m, s, end);
}

static bool match(Match *m, const char *s, const char *p) {
  if (++m->depth > DEPTH_MAX) m->steps = 0;
  bool ok = false;
  while (m->steps > 0) {
    if (p >= m->pattern_end || (*p == '$' && p + 1 == m->pattern_end)) {
      ok = p >= m->pattern_end || s == m->end;
      break;
    }
    if (*p == '%' && p + 1 < m->pattern_end && (p[1] == 'b' || p[1] == 'f')) {
      ok =
          p[1] == 'f' ? match_frontier(m, s, p) : p + 3 < m->pattern_end && match_balanced(m, s, p);
      break;
    }
    const char *end = item_end(m, p);
    if (!end) break;
    char suffix = end < m->pattern_end ? *end : 0;
    if (suffix == '*' || suffix == '+') {
      ok = (suffix == '*' || fits(m, s, p, end)) && match_most(m, s + (suffix == '+'), p, end);
      break;
    }
    if (suffix == '-') {
      while (!(ok = match(m, s, end + 1)) && m->steps > 0 && fits(m, s, p, end)) s++;
      break;
    }
    if (suffix == '?') {
      if (fits(m, s, p, end) && match(m, s + 1, end + 1)) {
        ok = true;
        break;
      }
      p = end + 1;
      continue;
    }
    if (!fits(m, s, p, end)) break;
    s++;
    p = end;
  }
  m->depth--;
  return ok;
}

/* Is there a match from one of the starts? */
static bool search(Match *m, const char *pattern, size_t pattern_size) {
  if (pattern_size && *pattern == '^') return match(m, m->s, pattern + 1);
  for (const char *p = m->s; p <= m->end && m->steps > 0; p++)
    if (match(m, p, pattern)) return true;
  return false;
}

bool schema_pattern_lua_matches(const char *pattern, size_t pattern_size, const char *s,
                                size_t size, int64_t *steps) {
  /* Many short texts may come at once, in a list or a form. */
  long most = size >= (STEPS_MAX - STEPS_SHORT) / STEPS_BYTE
                  ? STEPS_MAX
                  : STEPS_SHORT + (long)size * STEPS_BYTE;
  Match m = {.s = s, .end = s + size, .pattern_end = pattern + pattern_size, .steps = most};
  bool found = search(&m, pattern, pattern_size);
  *steps += (most - m.steps) / STEPS_PCRE;
  return found;
}
