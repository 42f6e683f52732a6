#include "net/tls_context.h"

#include "base/buffer.h"
#include "net/tls_certificate.h"
#include "net/tls_session.h"
#include "net/tls_tickets.h"
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* What TLS 1.2 may use: forward secrecy, and authenticated encryption alone. TLS 1.3 has nothing
   else. */
#define MODERN_CIPHERS "ECDHE+AESGCM:ECDHE+CHACHA20"
/* For the exchange of keys: with the largest of the others a client could make each handshake last
   for tens of milliseconds. The first list is for OpenSSL 3.5 and later. */
static const char *const groups[] = {"X25519MLKEM768:X25519:P-256:P-384", "X25519:P-256:P-384"};
enum { MAX_PEM = 4 << 20 }; /* bytes of a file */

/* What is being made, and where the reason goes if it cannot be. */
typedef struct Making {
  const TlsLibrary *lib;
  char *error;
} Making;

/* Notes the reason; false. */
__attribute__((format(printf, 2, 3))) static bool fail(const Making *m, const char *format, ...) {
  va_list args;
  va_start(args, format);
  vsnprintf(m->error, TLS_ERROR_MAX, format, args);
  va_end(args);
  return false;
}

/* OpenSSL's own reason for its last failure. */
static const char *reason(const TlsLibrary *lib) {
  const char *text = lib->ERR_reason_error_string(lib->ERR_peek_last_error());
  return text ? text : "no reason given";
}

/* --- PEM --- */

/* A file or a text. `what` names it in messages: it must not show a key. */
typedef struct Pem {
  Buffer text;
  char what[TLS_ERROR_MAX / 2];
} Pem;

static bool is_text(const char *source) { return strstr(source, "-----BEGIN") != NULL; }

static bool read_file(const Making *m, const char *path, Pem *pem) {
  FILE *file = fopen(path, "rbe");
  if (!file && errno == EACCES) /* often: keys are root's, and --user goes on as another user */
    return fail(m, "%s: %s, as user %u", pem->what, strerror(errno), (unsigned)geteuid());
  if (!file) return fail(m, "%s: %s", pem->what, strerror(errno));
  size_t n = 1;
  bool ok = true;
  while (ok && n) {
    ok = pem->text.len < MAX_PEM && buffer_reserve(&pem->text, 4096);
    n = ok ? fread(pem->text.data + pem->text.len, 1, 4096, file) : 0;
    pem->text.len += n;
  }
  int error = ferror(file) ? errno : 0;
  fclose(file);
  if (error) return fail(m, "%s: %s", pem->what, strerror(error));
  return ok || fail(m, "%s: it is too large", pem->what);
}

/* `kind` is "certificate", "key" or "ca". */
static bool pem_open(const Making *m, const char *kind, const char *source, Pem *pem) {
  *pem = (Pem){0};
  if (is_text(source)) {
    snprintf(pem->what, sizeof pem->what, "%s (given as text)", kind);
    return buffer_add(&pem->text, source, strlen(source)) || fail(m, "out of memory");
  }
  snprintf(pem->what, sizeof pem->what, "%s %.200s", kind, source);
  return read_file(m, source, pem);
}

/* It may hold a key. */
static void pem_close(Pem *pem) {
  if (pem->text.data) explicit_bzero(pem->text.data, pem->text.len);
  buffer_free(&pem->text);
}

/* A key that needs a passphrase is refused instead of asked for on the terminal. */
static int no_passphrase(char *buffer, int size, int rwflag, void *data) {
  (void)buffer, (void)size, (void)rwflag;
  *(bool *)data = true;
  return -1;
}

static EVP_PKEY *read_key(const Making *m, const char *source) {
  Pem pem;
  EVP_PKEY *key = NULL;
  bool asked = false;
  if (pem_open(m, "key", source, &pem)) {
    BIO *bio = m->lib->BIO_new_mem_buf(pem.text.data, (int)pem.text.len);
    if (bio) key = m->lib->PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, &asked);
    if (bio) m->lib->BIO_free(bio);
    if (asked && !key)
      fail(m, "%s: it is protected by a passphrase, which is not supported", pem.what);
    else if (!key)
      fail(m, "%s: no private key in PEM format is in it", pem.what);
  }
  pem_close(&pem);
  return key;
}

/* Calls `take` for each certificate in order, which becomes its owner. */
static bool read_certs(const Making *m, const char *kind, const char *source,
                       bool (*take)(void *data, X509 *cert), void *data) {
  Pem pem;
  size_t n = 0;
  bool ok = pem_open(m, kind, source, &pem);
  BIO *bio = ok ? m->lib->BIO_new_mem_buf(pem.text.data, (int)pem.text.len) : NULL;
  if (ok && !bio) ok = fail(m, "out of memory");
  m->lib->ERR_clear_error();
  for (X509 *cert; ok && (cert = m->lib->PEM_read_bio_X509(bio, NULL, NULL, NULL)); n++)
    if (!take(data, cert)) ok = fail(m, "%s: %s", pem.what, reason(m->lib));
  if (ok) {
    unsigned long last = m->lib->ERR_peek_last_error();
    bool at_end = !last || ERR_GET_REASON(last) == PEM_R_NO_START_LINE;
    if (!n && at_end)
      ok = fail(m, "%s: no certificate in PEM format is in it", pem.what);
    else if (!at_end)
      ok = fail(m, "%s: its certificate %zu cannot be read: %s", pem.what, n + 1, reason(m->lib));
  }
  m->lib->ERR_clear_error();
  if (bio) m->lib->BIO_free(bio);
  pem_close(&pem);
  return ok;
}

/* --- certificates of our own --- */

typedef struct Chain {
  const TlsLibrary *lib;
  SSL_CTX *ssl;
  X509 *first; /* or NULL */
} Chain;

static bool take_own(void *data, X509 *cert) {
  Chain *chain = data;
  if (chain->first) {
    if (chain->lib->SSL_CTX_ctrl(chain->ssl, SSL_CTRL_CHAIN_CERT, 0, cert)) return true;
    chain->lib->X509_free(cert);
    return false;
  }
  chain->first = cert;
  return chain->lib->SSL_CTX_use_certificate(chain->ssl, cert);
}

/* Puts the pair into `ssl`; *cert is then the certificate, with a reference. */
static bool use_pair(const Making *m, SSL_CTX *ssl, const TlsPair *pair, X509 **cert) {
  const TlsLibrary *lib = m->lib;
  Chain chain = {lib, ssl, NULL};
  const char *key_source = pair->key ? pair->key : pair->cert;
  bool ok = read_certs(m, "certificate", pair->cert, take_own, &chain);
  EVP_PKEY *key = ok ? read_key(m, key_source) : NULL;
  ok = key != NULL;
  if (ok && !lib->X509_check_private_key(chain.first, key)) {
    Buffer title = {0};
    bool named = tls_certificate_title(lib, chain.first, &title);
    ok = fail(m, "the key %.120s does not belong to the certificate %.120s (of %.*s)",
              is_text(key_source) ? "(given as text)" : key_source,
              is_text(pair->cert) ? "(given as text)" : pair->cert, named ? (int)title.len : 1,
              named ? title.data : "?");
    buffer_free(&title);
  }
  if (ok && lib->SSL_CTX_use_PrivateKey(ssl, key) != 1)
    ok = fail(m, "key %.200s: %s", is_text(key_source) ? "(given as text)" : key_source,
              reason(lib));
  lib->EVP_PKEY_free(key);
  if (ok)
    *cert = chain.first;
  else
    lib->X509_free(chain.first);
  return ok;
}

/* --- authorities --- */

typedef struct Trust {
  const TlsLibrary *lib;
  X509_STORE *store;
  OPENSSL_STACK *names; /* a server tells its clients; or NULL */
  Buffer *rules;        /* their fingerprints are added */
} Trust;

static bool take_ca(void *data, X509 *cert) {
  Trust *trust = data;
  unsigned char print[TLS_FINGERPRINT];
  bool ok = trust->lib->X509_STORE_add_cert(trust->store, cert) &&
            tls_certificate_fingerprint(trust->lib, cert, print) &&
            buffer_add(trust->rules, (const char *)print, sizeof print);
  if (ok && trust->names) {
    X509_NAME *name = trust->lib->X509_NAME_dup(trust->lib->X509_get_subject_name(cert));
    ok = name && trust->lib->OPENSSL_sk_push(trust->names, name) > 0;
  }
  trust->lib->X509_free(cert);
  return ok;
}

static bool use_authorities(const Making *m, SSL_CTX *ssl, const TlsOptions *o, Buffer *rules) {
  const TlsLibrary *lib = m->lib;
  if (!o->ca)
    return o->is_server || lib->SSL_CTX_set_default_verify_paths(ssl) ||
           fail(m, "the system's trusted certificates: %s", reason(lib));
  Trust trust = {lib, lib->SSL_CTX_get_cert_store(ssl), NULL, rules};
  if (o->is_server) trust.names = lib->OPENSSL_sk_new_null();
  bool ok = read_certs(m, "ca", o->ca, take_ca, &trust);
  if (trust.names) lib->SSL_CTX_set_client_CA_list(ssl, (STACK_OF(X509_NAME) *)trust.names);
  return ok;
}

/* --- tickets --- */

/* OpenSSL asks for a key to make a ticket with (`encrypts`), or to read one. Returns 1: here it is;
   2: here it is, and the ticket should be replaced; 0: there is none; -1: failed. */
static int ticket_key(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                      EVP_MAC_CTX *mac, int encrypts) {
  const char *error;
  const TlsLibrary *lib = tls_library(&error);
  int is_old = 0;
  const TlsTicketKey *key = encrypts ? tls_tickets_current() : tls_tickets_find(name, &is_old);
  if (!key) return 0;
  if (encrypts) {
    if (lib->RAND_bytes(iv, 16) != 1) return -1;
    memcpy(name, key->name, TLS_TICKET_NAME);
  }
  uint8_t secret[sizeof key->mac];
  memcpy(secret, key->mac, sizeof secret);
  OSSL_PARAM params[] = {
      lib->OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, secret, sizeof secret),
      lib->OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char[]){"SHA256"}, 0),
      lib->OSSL_PARAM_construct_end()};
  EVP_CIPHER *aes = lib->EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
  bool ok = aes && lib->EVP_MAC_CTX_set_params(mac, params) &&
            (encrypts ? lib->EVP_EncryptInit_ex(cipher, aes, NULL, key->cipher, iv)
                      : lib->EVP_DecryptInit_ex(cipher, aes, NULL, key->cipher, iv));
  lib->EVP_CIPHER_free(aes);
  explicit_bzero(secret, sizeof secret);
  /* In TLS 1.3 a client uses a ticket once (RFC 8446 appendix C.4). */
  bool replace = is_old || lib->SSL_version(ssl) >= TLS1_3_VERSION;
  return !ok ? -1 : replace ? 2 : 1;
}

/* A session is resumed only under the same rules: what the peer's certificate was checked against,
   not only the name of that file, is part of its name. */
static bool name_sessions(const Making *m, SSL_CTX *ssl, const TlsOptions *o, Buffer *rules) {
  unsigned char name[32];
  unsigned n = sizeof name;
  bool ok = buffer_add_char(rules, (char)o->verify) &&
            m->lib->EVP_Digest(rules->data, rules->len, name, &n, m->lib->EVP_sha256(), NULL) &&
            m->lib->SSL_CTX_set_session_id_context(ssl, name, n);
  return ok || fail(m, "out of memory");
}

/* --- what is asked of, and answered to, clients of a server --- */

/* The client has asked for a name: takes the first certificate that is for it. */
static int choose_named(SSL *ssl, int *alert, void *data) {
  (void)alert;
  const TlsContext *c = data;
  const char *name = c->library->SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
  if (!name) return SSL_TLSEXT_ERR_NOACK;
  for (size_t i = 0; i < c->n_named; i++) {
    if (c->library->X509_check_host(c->named[i].cert, name, 0, 0, NULL) != 1) continue;
    c->library->SSL_set_SSL_CTX(ssl, c->named[i].ssl);
    return SSL_TLSEXT_ERR_OK;
  }
  return SSL_TLSEXT_ERR_OK;
}

/* Takes the first of ours that the client knows (RFC 7301 section 3.2). */
static int choose_protocol(SSL *ssl, const unsigned char **chosen, unsigned char *n,
                           const unsigned char *theirs, unsigned n_theirs, void *data) {
  (void)ssl;
  const TlsContext *c = data;
  for (unsigned i = 0; i < c->n_alpn; i += 1 + c->alpn[i])
    for (unsigned j = 0; j < n_theirs; j += 1 + theirs[j]) {
      if (theirs[j] != c->alpn[i] || memcmp(theirs + j + 1, c->alpn + i + 1, theirs[j]) != 0)
        continue;
      *chosen = theirs + j + 1;
      *n = theirs[j];
      return SSL_TLSEXT_ERR_OK;
    }
  return SSL_TLSEXT_ERR_ALERT_FATAL;
}

static bool list_protocols(const Making *m, TlsContext *c, const TlsOptions *o) {
  Buffer list = {0};
  bool ok = true;
  for (size_t i = 0; ok && i < o->n_alpn; i++) {
    size_t n = strlen(o->alpn[i]);
    if (!n || n > 255)
      ok = fail(m, "alpn: a protocol's name has 1 to 255 bytes");
    else if (!buffer_add_char(&list, (char)n) || !buffer_add(&list, o->alpn[i], n))
      ok = fail(m, "out of memory");
  }
  c->alpn = (unsigned char *)list.data; /* freed with the context in any case */
  c->n_alpn = (unsigned)list.len;
  return ok;
}

/* --- contexts --- */

static bool set_groups(const TlsLibrary *lib, SSL_CTX *ssl, const char *list) {
  return lib->SSL_CTX_ctrl(ssl, SSL_CTRL_SET_GROUPS_LIST, 0, (void *)(uintptr_t)list) == 1;
}

static SSL_CTX *new_ssl(const Making *m, TlsContext *c, const TlsOptions *o) {
  const TlsLibrary *lib = m->lib;
  SSL_CTX *ssl =
      lib->SSL_CTX_new(o->is_server ? lib->TLS_server_method() : lib->TLS_client_method());
  if (!ssl) {
    fail(m, "OpenSSL: %s", reason(lib));
    return NULL;
  }
  lib->SSL_CTX_ctrl(
      ssl, SSL_CTRL_MODE,
      SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_AUTO_RETRY, NULL);
  lib->SSL_CTX_set_options(ssl, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
                                    SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA |
                                    (o->no_tickets ? SSL_OP_NO_TICKET : 0));
  lib->SSL_CTX_ctrl(ssl, SSL_CTRL_SET_MIN_PROTO_VERSION,
                    o->min_version ? o->min_version : TLS1_2_VERSION, NULL);
  lib->SSL_CTX_ctrl(ssl, SSL_CTRL_SET_SESS_CACHE_MODE,
                    o->keep_sessions ? SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL
                                     : SSL_SESS_CACHE_OFF,
                    NULL);
  if (o->keep_sessions) lib->SSL_CTX_sess_set_new_cb(ssl, tls_session_offered);
  bool ok = !o->is_server || (lib->SSL_CTX_set_cipher_list(ssl, MODERN_CIPHERS) &&
                              (set_groups(lib, ssl, groups[0]) || set_groups(lib, ssl, groups[1])));
  if (!ok) fail(m, "OpenSSL: %s", reason(lib));

  static const int modes[2][4] = {
      {SSL_VERIFY_PEER, SSL_VERIFY_NONE, SSL_VERIFY_PEER, SSL_VERIFY_PEER},
      {SSL_VERIFY_NONE, SSL_VERIFY_NONE, SSL_VERIFY_PEER,
       SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT}};
  lib->SSL_CTX_set_verify(ssl, modes[o->is_server][o->verify], NULL);
  Buffer rules = {0};
  ok = ok && use_authorities(m, ssl, o, &rules);
  if (o->is_server) {
    ok = ok && name_sessions(m, ssl, o, &rules);
    lib->SSL_CTX_set_timeout(ssl, TLS_TICKET_PERIOD);
    lib->SSL_CTX_set_num_tickets(ssl, o->no_tickets ? 0 : 1);
    lib->SSL_CTX_set_tlsext_ticket_key_evp_cb(ssl, ticket_key);
    lib->SSL_CTX_set_info_callback(ssl, tls_session_informed);
    if (c->alpn) lib->SSL_CTX_set_alpn_select_cb(ssl, choose_protocol, c);
    lib->SSL_CTX_callback_ctrl(ssl, SSL_CTRL_SET_TLSEXT_SERVERNAME_CB,
                               (void (*)(void))choose_named);
    lib->SSL_CTX_ctrl(ssl, SSL_CTRL_SET_TLSEXT_SERVERNAME_ARG, 0, c);
  } else if (ok && c->alpn) {
    ok = !lib->SSL_CTX_set_alpn_protos(ssl, c->alpn, c->n_alpn) || fail(m, "out of memory");
  }
  buffer_free(&rules);
  if (ok) return ssl;
  lib->SSL_CTX_free(ssl);
  return NULL;
}

static bool open_named(const Making *m, TlsContext *c, const TlsOptions *o) {
  if (!o->n_pairs) return fail(m, "a server needs a certificate: `cert` and `key`");
  if (!o->ca && o->verify >= TLS_VERIFY_OPTIONAL)
    return fail(m, "to verify clients, `ca` has to say whose certificates are good");
  for (; c->n_named < o->n_pairs; c->n_named++) {
    struct TlsNamed *named = &c->named[c->n_named];
    SSL_CTX *ssl = new_ssl(m, c, o);
    if (!ssl) return false;
    if (!use_pair(m, ssl, &o->pairs[c->n_named], &named->cert)) {
      m->lib->SSL_CTX_free(ssl);
      return false;
    }
    named->ssl = ssl;
  }
  c->ssl = c->named[0].ssl;
  return true;
}

static bool open_client(const Making *m, TlsContext *c, const TlsOptions *o) {
  c->ssl = new_ssl(m, c, o);
  X509 *cert = NULL;
  bool ok = c->ssl && (!o->n_pairs || use_pair(m, c->ssl, &o->pairs[0], &cert));
  m->lib->X509_free(cert); /* `ssl` has its own reference */
  return ok;
}

TlsContext *tls_context_new(const TlsOptions *o, char error[static TLS_ERROR_MAX]) {
  const char *missing;
  Making m = {tls_library(&missing), error};
  if (!m.lib) {
    fail(&m, "TLS needs OpenSSL 3: %s", missing);
    return NULL;
  }
  m.lib->ERR_clear_error();
  size_t n_named = o->is_server ? o->n_pairs : 0;
  TlsContext *c = calloc(1, sizeof *c + n_named * sizeof *c->named);
  if (!c) {
    fail(&m, "out of memory");
    return NULL;
  }
  *c = (TlsContext){.library = m.lib, .is_server = o->is_server};
  atomic_init(&c->refs, 1);
  c->checks_peer = !o->is_server && o->verify != TLS_VERIFY_NONE;
  bool ok =
      list_protocols(&m, c, o) && (o->is_server ? open_named(&m, c, o) : open_client(&m, c, o));
  m.lib->ERR_clear_error();
  if (ok) return c;
  tls_context_release(c);
  return NULL;
}

TlsContext *tls_context_retain(TlsContext *c) {
  atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
  return c;
}

void tls_context_release(TlsContext *c) {
  if (!c || atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) > 1) return;
  for (size_t i = 0; i < c->n_named; i++) {
    c->library->SSL_CTX_free(c->named[i].ssl);
    c->library->X509_free(c->named[i].cert);
  }
  if (!c->is_server) c->library->SSL_CTX_free(c->ssl);
  free(c->alpn);
  free(c);
}
