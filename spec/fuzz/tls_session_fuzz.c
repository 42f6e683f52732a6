/* Two sessions of TLS, a client's and a server's, that send each other bytes. The first byte
   chooses the name that the client asks for and what is known of certificates, the second the size
   of the pieces in which ciphertext comes. Each further one is something that happens: bytes are
   written, a byte on its way is changed, a side ends. Bytes without an end are not TLS at all. What
   is read is the beginning of what was written; all of it, if nothing was changed; and a failure
   says why. */
#include "fuzz.h"
#include "net/tls_session.h"
#include <uv.h>

static const char cert_a[] = "-----BEGIN CERTIFICATE-----\n"
                             "MIIBizCCATKgAwIBAgIUOmBtUa/Z9xfDhZi9iMzwPdbIWdAwCgYIKoZIzj0EAwIw\n"
                             "ETEPMA0GA1UEAwwGYS50ZXN0MCAXDTI2MTEzMDE5MDE0NFoYDzIxMjYxMTA2MTkw\n"
                             "MTQ0WjARMQ8wDQYDVQQDDAZhLnRlc3QwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNC\n"
                             "AAR9OmIrcQcZCGEkaXW5Mpl5bGdch4vxwCsOqL2ZUlLD1QBmVJzHb1oUUiqsNmTj\n"
                             "LplxKzBI/iBIvDgI3tQJ9yGao2YwZDAdBgNVHQ4EFgQU4nVSmXeB/JjpzUjQ5Unt\n"
                             "PNgPxLcwHwYDVR0jBBgwFoAU4nVSmXeB/JjpzUjQ5UntPNgPxLcwDwYDVR0TAQH/\n"
                             "BAUwAwEB/zARBgNVHREECjAIggZhLnRlc3QwCgYIKoZIzj0EAwIDRwAwRAIgeGBu\n"
                             "b6mDtgvglKb8duCMZXpNTwfiu1FqglsIHw8qg3MCIDbHQNg6XuDJdmX4+7WKhCrz\n"
                             "RQ3Wq4rpatYGQ6pXizHj\n"
                             "-----END CERTIFICATE-----\n"
                             "-----BEGIN EC PRIVATE KEY-----\n"
                             "MHcCAQEEIMmwL8xx3bFwIYqWJHzJ7zEjvlh+JjOhdPt9SE/smxIEoAoGCCqGSM49\n"
                             "AwEHoUQDQgAEfTpiK3EHGQhhJGl1uTKZeWxnXIeL8cArDqi9mVJSw9UAZlScx29a\n"
                             "FFIqrDZk4y6ZcSswSP4gSLw4CN7UCfchmg==\n"
                             "-----END EC PRIVATE KEY-----\n";
static const char cert_b[] = "-----BEGIN CERTIFICATE-----\n"
                             "MIIBjDCCATKgAwIBAgIUejYY+e9hi+ToJuSJVQHYagMd6iQwCgYIKoZIzj0EAwIw\n"
                             "ETEPMA0GA1UEAwwGYi50ZXN0MCAXDTI2MTEzMDE5MDE0NFoYDzIxMjYxMTA2MTkw\n"
                             "MTQ0WjARMQ8wDQYDVQQDDAZiLnRlc3QwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNC\n"
                             "AAQw5DBNCiVcNWa+ZthDq4Qmrn5B8cYHJQiqn/STQHPDMtPAJOeIHVrWoCIOzvcW\n"
                             "mS9SVCkAoDqX1s7SoH3KKvK9o2YwZDAdBgNVHQ4EFgQUMx+0lwmhjZaMStx2bzuw\n"
                             "50AyM+UwHwYDVR0jBBgwFoAUMx+0lwmhjZaMStx2bzuw50AyM+UwDwYDVR0TAQH/\n"
                             "BAUwAwEB/zARBgNVHREECjAIggZiLnRlc3QwCgYIKoZIzj0EAwIDSAAwRQIhAPy/\n"
                             "waIT662gPDZXbLomcO0pv47uHZ/kRKT/usL209+uAiA3mHgWzER9XcAcj6XqT6cH\n"
                             "6Rs5Z9xsFrKMoeNhHl0VEg==\n"
                             "-----END CERTIFICATE-----\n"
                             "-----BEGIN EC PRIVATE KEY-----\n"
                             "MHcCAQEEICX4tzo7NSsoRIqi8zDfu4zhWP9Nf3J3CIWVpNxRI327oAoGCCqGSM49\n"
                             "AwEHoUQDQgAEMOQwTQolXDVmvmbYQ6uEJq5+QfHGByUIqp/0k0BzwzLTwCTniB1a\n"
                             "1qAiDs73FpkvUlQpAKA6l9bO0qB9yiryvQ==\n"
                             "-----END EC PRIVATE KEY-----\n";

enum {
  WRITES = 0xC0,  /* below it: by a client if even, else by a server; as many bytes */
  CHANGES = 0xF0, /* below it: what is next to come to one of them; the next bytes say where, how */
  CLIENT_SHUTS = 0xF0,
  SERVER_SHUTS,
  ENDS,   /* the transport, for both */
  NO_TLS, /* the rest goes to the server */
  RESUMES /* a new connection with the session of this one */
};

enum { LONG = 0xBC, MOST_STEPS = 30, MOST_CONNECTIONS = 3, AT_ONCE = 997 };

typedef struct Side {
  TlsSession session;
  Buffer out, got;
  uint64_t written;
  bool is_over; /* nothing more is fed to it */
} Side;

static TlsContext *server_context, *trusting, *careless;
static SSL_SESSION *kept;

static uint8_t pattern(uint64_t at) { return (uint8_t)(at * 7 + at / 251); }

static bool keep_session(TlsSession *s, SSL_SESSION *session) {
  if (kept) s->context->library->SSL_SESSION_free(kept);
  kept = session;
  return true;
}

static TlsContext *open_context(const TlsOptions *options) {
  char error[TLS_ERROR_MAX];
  TlsContext *context = tls_context_new(options, error);
  check(context);
  return context;
}

static void open_contexts(void) {
  static const char *const protocols[] = {"h2", "http/1.1"};
  const TlsPair pairs[] = {{cert_a, NULL}, {cert_b, NULL}};
  server_context = open_context(&(TlsOptions){
      .is_server = true, .pairs = pairs, .n_pairs = 2, .alpn = protocols, .n_alpn = 2});
  TlsOptions client = {.ca = cert_a, .alpn = protocols + 1, .n_alpn = 1, .keep_sessions = true};
  trusting = open_context(&client);
  client.verify = TLS_VERIFY_NONE;
  client.n_alpn = 0;
  careless = open_context(&client);
}

/* Takes what came. */
static void feed(Side *side, const char *bytes, size_t n) {
  TlsSession *s = &side->session;
  char plain[AT_ONCE], *copy = exact_copy(bytes, n);
  ssize_t result = 0;
  if (!side->is_over) {
    tls_session_lend(s, copy, n);
    while (!s->ready && (result = tls_session_handshake(s)) == 1) {
    }
    while (s->ready && (result = tls_session_read(s, plain, sizeof plain)) > 0)
      check(buffer_add(&side->got, plain, (size_t)result));
    tls_session_keep(s);
    side->is_over = result < 0;
    check(result >= 0 || result == UV_EOF || (result == UV_EPROTO && s->failed && s->error));
  }
  free(copy);
}

/* What `from` has put out reaches `to`. */
static bool carry(Side *from, Side *to, size_t piece, uint8_t change[static 2]) {
  size_t n = from->out.len;
  if (!n) return false;
  char *bytes = exact_copy(from->out.data, n);
  from->out.len = 0;
  bytes[change[0] * (size_t)7 % n] ^= (char)change[1];
  change[1] = 0;
  for (size_t at = 0; at < n; at += piece) feed(to, bytes + at, n - at < piece ? n - at : piece);
  free(bytes);
  return true;
}

static void write_some(Side *side, size_t n) {
  char *bytes = malloc(n);
  check(bytes);
  for (size_t i = 0; i < n; i++) bytes[i] = (char)pattern(side->written + i);
  if (side->session.ready && tls_session_write(&side->session, bytes, n) == 0) side->written += n;
  free(bytes);
}

static void check_got(const Side *to, const Side *from, bool all) {
  check(to->got.len <= from->written && (!all || to->got.len == from->written));
  for (size_t i = 0; i < to->got.len; i++) check((uint8_t)to->got.data[i] == pattern(i));
}

static void open_side(Side *side, TlsContext *context, const char *name) {
  *side = (Side){.session.out = &side->out};
  check(tls_session_open(&side->session, context, name));
}

static void close_side(Side *side) {
  tls_session_close(&side->session);
  buffer_free(&side->out);
  buffer_free(&side->got);
}

static void check_agreed(const Side *client, const Side *server, bool trusts) {
  TlsAgreed ours, theirs;
  if (!client->session.ready || !server->session.ready) return;
  tls_session_agreed(&client->session, &ours);
  tls_session_agreed(&server->session, &theirs);
  check(ours.n_alpn == theirs.n_alpn && ours.resumed == theirs.resumed);
  check(trusts ? ours.n_alpn == 8 && !memcmp(theirs.alpn, "http/1.1", 8) : !theirs.alpn);
}

typedef struct Play {
  Side client, server;
  uint8_t to_server[2], to_client[2]; /* the next changes: where, and how */
  size_t piece;
  bool is_whole; /* nothing was changed, and nobody has ended */
} Play;

static void pass(Play *p) {
  feed(&p->client, "", 0); /* which says hello */
  while (carry(&p->client, &p->server, p->piece, p->to_server) |
         carry(&p->server, &p->client, p->piece, p->to_client)) {
  }
}

/* Returns whether the next connection is to resume this one. */
static bool play(Play *p, const uint8_t **data, const uint8_t *end) {
  for (int i = 0; *data < end && i < MOST_STEPS; i++) {
    uint8_t what = *(*data)++;
    if (what < WRITES) {
      pass(p);
      write_some(what % 2 ? &p->server : &p->client, what < LONG ? 1 + what * (size_t)8 : 20000);
    } else if (what < CHANGES) {
      if (end - *data < 2) break;
      memcpy(what % 2 ? p->to_client : p->to_server, *data, 2);
      p->is_whole = p->is_whole && !(*data)[1];
      *data += 2;
      continue;
    } else if (what == CLIENT_SHUTS || what == SERVER_SHUTS) {
      p->is_whole = false;
      tls_session_shut(what == CLIENT_SHUTS ? &p->client.session : &p->server.session);
    } else if (what == ENDS) {
      p->is_whole = false;
      tls_session_transport_ended(&p->client.session);
      tls_session_transport_ended(&p->server.session);
    } else if (what == NO_TLS) {
      p->is_whole = false;
      for (; *data < end; *data += 1) feed(&p->server, (const char *)*data, 1);
    } else if (what == RESUMES) {
      pass(p);
      return true;
    }
    pass(p);
  }
  return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const char *const names[] = {"a.test", "b.test", "c.test", "127.0.0.1"};
  if (size < 3) return 0;
  if (!server_context) open_contexts();
  const uint8_t *end = data + size;
  uint8_t first = *data++;
  size_t piece = *data++ * (size_t)4 + 1;
  bool trusts = first & 4, again = true;
  for (int i = 0; again && i < MOST_CONNECTIONS; i++) {
    Play p = {.piece = piece, .is_whole = true};
    open_side(&p.server, server_context, NULL);
    open_side(&p.client, trusts ? trusting : careless, names[first % 4]);
    p.client.session.on_session = keep_session;
    if (kept) tls_session_resume(&p.client.session, kept);
    again = play(&p, &data, end);
    bool is_known = !trusts || first % 4 == 0;
    check_got(&p.client, &p.server, p.is_whole && is_known);
    check_got(&p.server, &p.client, p.is_whole && is_known);
    check_agreed(&p.client, &p.server, trusts);
    if (p.is_whole && is_known) check(!p.client.session.failed && !p.server.session.failed);
    if (!is_known) check(!p.client.got.len && !p.server.got.len);
    close_side(&p.client);
    close_side(&p.server);
  }
  if (kept) server_context->library->SSL_SESSION_free(kept);
  kept = NULL;
  return 0;
}
