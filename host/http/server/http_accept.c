#include "http/server/http_accept.h"

#include "base/accept.h"

#include <strings.h>

/* The rest of the input. */
typedef struct Input {
  const char *at, *end;
} Input;

static void skip_blanks(Input *in) {
  while (in->at < in->end && (*in->at == ' ' || *in->at == '\t')) in->at++;
}

static bool read_char(Input *in, char c) {
  if (in->at == in->end || (*in->at | 0x20) != (c | 0x20)) return false;
  in->at++;
  return true;
}

/* The weight of an element after its name; -1: malformed. */
static int read_parameters(Input *in) {
  skip_blanks(in);
  if (in->at == in->end || *in->at != ';') return ACCEPT_WHOLE;
  in->at++;
  skip_blanks(in);
  if (!read_char(in, 'q') || in->at == in->end || *in->at++ != '=') return -1;
  return accept_weight(&in->at, in->end);
}

typedef struct Weights {
  int br, gzip, identity, any; /* thousandths; -1: not given */
} Weights;

static void read_element(const char *at, const char *end, Weights *weights) {
  Input in = {at, end};
  skip_blanks(&in);
  const char *name = in.at;
  while (in.at < in.end && *in.at != ';' && *in.at != ' ' && *in.at != '\t') in.at++;
  size_t n = (size_t)(in.at - name);
  int weight = read_parameters(&in);
  skip_blanks(&in);
  if (weight < 0 || in.at != in.end) return;
  ContentCoding coding;
  if (n == 1 && *name == '*')
    weights->any = weight;
  else if (n == 8 && !strncasecmp(name, "identity", n))
    weights->identity = weight;
  else if (content_coding_find(name, n, &coding) && coding == CODING_BROTLI)
    weights->br = weight;
  else if (content_coding_find(name, n, &coding) && coding == CODING_GZIP)
    weights->gzip = weight;
}

bool http_accept_coding(const char *value, size_t n, ContentCoding *coding) {
  Weights weights = {-1, -1, -1, -1};
  const char *end = value + n;
  while (value < end) {
    const char *comma = memchr(value, ',', (size_t)(end - value));
    if (!comma) comma = end;
    read_element(value, comma, &weights);
    value = comma < end ? comma + 1 : end;
  }
  int any = weights.any > 0 ? weights.any : 0;
  int br = weights.br >= 0 ? weights.br : any;
  int gzip = weights.gzip >= 0 ? weights.gzip : any;
  int best = br >= gzip ? br : gzip;
  if (best == 0 || weights.identity > best) return false;
  *coding = br == best ? CODING_BROTLI : CODING_GZIP;
  return true;
}
