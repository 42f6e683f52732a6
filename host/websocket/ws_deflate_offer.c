/* What the two sides agree on: for ws_deflate.h. RFC 7692 section 7.1. */
#include "websocket/ws_deflate.h"

#include <stdio.h>
#include <strings.h>

enum { WINDOW_LEAST = 9, WINDOW_MOST = 15 };

/* The parameters of one offer, or of the answer. */
typedef struct Parameters {
  bool server_no_takeover, client_no_takeover;
  bool has_client_window;
  unsigned server_window, client_window; /* 0: without a value */
} Parameters;

typedef struct Cursor {
  const char *at, *end;
} Cursor;

static bool is_space(char c) { return c == ' ' || c == '\t'; }

static void skip_spaces(Cursor *c) {
  while (c->at < c->end && is_space(*c->at)) c->at++;
}

static bool is_token(char c) { return c > ' ' && c < 127 && !strchr("()<>@,;:\\\"/[]?={}", c); }

static size_t token(Cursor *c, const char **text) {
  skip_spaces(c);
  *text = c->at;
  while (c->at < c->end && is_token(*c->at)) c->at++;
  size_t n = (size_t)(c->at - *text);
  skip_spaces(c);
  return n;
}

static bool next_is(Cursor *c, char what) {
  if (c->at == c->end || *c->at != what) return false;
  c->at++;
  return true;
}

static bool is(const char *text, size_t n, const char *name) {
  return n == strlen(name) && strncasecmp(text, name, n) == 0;
}

/* The value of a parameter, a token or in quotes: a window of 8 to 15; or 0. */
static unsigned window_value(Cursor *c) {
  const char *text;
  skip_spaces(c);
  bool quoted = next_is(c, '"');
  size_t n = token(c, &text);
  if (quoted && !next_is(c, '"')) return 0;
  skip_spaces(c);
  if (n == 1 && (*text == '8' || *text == '9')) return (unsigned)(*text - '0');
  if (n == 2 && *text == '1' && text[1] >= '0' && text[1] <= '5')
    return 10 + (unsigned)(text[1] - '0');
  return 0;
}

/* One parameter, behind its name. False: it is not valid, or comes twice. */
static bool parameter(Cursor *c, const char *name, size_t n, Parameters *p) {
  bool has_value = next_is(c, '=');
  if (is(name, n, "server_no_context_takeover")) {
    if (has_value || p->server_no_takeover) return false;
    return p->server_no_takeover = true;
  }
  if (is(name, n, "client_no_context_takeover")) {
    if (has_value || p->client_no_takeover) return false;
    return p->client_no_takeover = true;
  }
  if (is(name, n, "server_max_window_bits")) {
    if (!has_value || p->server_window) return false;
    return (p->server_window = window_value(c)) != 0;
  }
  if (!is(name, n, "client_max_window_bits") || p->has_client_window) return false;
  p->has_client_window = true;
  return !has_value || (p->client_window = window_value(c)) != 0;
}

/* Goes behind what is left of an offer. */
static void skip_offer(Cursor *c) {
  bool quoted = false;
  for (; c->at < c->end && (quoted || *c->at != ','); c->at++)
    if (*c->at == '"') quoted = !quoted;
}

/* The next offer. 1: one of permessage-deflate; 0: another, or not valid; -1: there is none. */
static int next_offer(Cursor *c, Parameters *p) {
  const char *name;
  *p = (Parameters){0};
  skip_spaces(c);
  while (next_is(c, ',')) skip_spaces(c);
  if (c->at == c->end) return -1;
  size_t n = token(c, &name);
  bool valid = is(name, n, "permessage-deflate");
  while (valid && next_is(c, ';')) {
    n = token(c, &name);
    valid = n && parameter(c, name, n, p);
  }
  if (c->at < c->end && *c->at != ',') valid = false;
  skip_offer(c);
  return valid;
}

static uint8_t at_most(uint8_t window, unsigned limit) {
  return limit && limit < window ? (uint8_t)limit : window;
}

bool ws_deflate_accept(const char *offers, size_t n, const WsDeflate *want, char *answer,
                       WsDeflate *agreed) {
  Cursor c = {offers, offers + n};
  Parameters p;
  int is_ours;
  while ((is_ours = next_offer(&c, &p)) >= 0) {
    /* zlib has no window of 2^8 bytes. */
    if (!is_ours || (p.server_window && p.server_window < WINDOW_LEAST)) continue;
    *agreed = (WsDeflate){.min = want->min,
                          .window = at_most(want->window, p.server_window),
                          .peer_window = WINDOW_MOST,
                          .takeover = want->takeover && !p.server_no_takeover,
                          .peer_takeover = want->takeover && !p.client_no_takeover};
    int len = snprintf(answer, WS_DEFLATE_TEXT, "permessage-deflate%s%s",
                       agreed->takeover ? "" : "; server_no_context_takeover",
                       agreed->peer_takeover ? "" : "; client_no_context_takeover");
    if (p.server_window)
      len += snprintf(answer + len, WS_DEFLATE_TEXT - (size_t)len, "; server_max_window_bits=%d",
                      agreed->window);
    if (agreed->peer_takeover && p.has_client_window) {
      agreed->peer_window = at_most(want->window, p.client_window);
      snprintf(answer + len, WS_DEFLATE_TEXT - (size_t)len, "; client_max_window_bits=%d",
               agreed->peer_window);
      /* What was agreed on as 2^8 is read with a greater window. */
      if (agreed->peer_window < WINDOW_LEAST) agreed->peer_window = WINDOW_LEAST;
    }
    return true;
  }
  return false;
}

void ws_deflate_offer(const WsDeflate *want, char *offer) {
  int n = snprintf(offer, WS_DEFLATE_TEXT, "permessage-deflate; client_max_window_bits");
  if (want->takeover)
    snprintf(offer + n, WS_DEFLATE_TEXT - (size_t)n, "; server_max_window_bits=%d", want->window);
  else
    snprintf(offer + n, WS_DEFLATE_TEXT - (size_t)n,
             "; server_no_context_takeover; client_no_context_takeover");
}

bool ws_deflate_agree(const char *answer, size_t n, const WsDeflate *want, WsDeflate *agreed) {
  Cursor c = {answer, answer + n};
  Parameters p, more;
  if (next_offer(&c, &p) != 1 || next_offer(&c, &more) >= 0) return false;
  if (p.has_client_window && p.client_window < WINDOW_LEAST) return false; /* or it has no value */
  /* A server must do what was asked of it. */
  if (!want->takeover && !p.server_no_takeover) return false;
  if (want->takeover && (!p.server_window || p.server_window > want->window)) return false;
  *agreed = (WsDeflate){.min = want->min,
                        .window = at_most(want->window, p.client_window),
                        .peer_window = WINDOW_MOST,
                        .takeover = want->takeover && !p.client_no_takeover,
                        .peer_takeover = want->takeover && !p.server_no_takeover};
  if (p.server_window)
    agreed->peer_window =
        (uint8_t)(p.server_window < WINDOW_LEAST ? WINDOW_LEAST : p.server_window);
  return true;
}
