#include "net/tls_session.h"

#include "net/tls_certificate.h"
#include <arpa/inet.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <uv.h>

/* --- the BIO: OpenSSL's view of the transport --- */

static BIO_METHOD *method; /* the process's; NULL if memory is out */
static const TlsLibrary *lib;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void set_error(TlsSession *s, const char *text) {
  if (!s->error) s->error = strdup(text);
}

/* A change of keys (RFC 8446 section 4.6.3) costs ten times what other records cost, and may follow
   on another one without end. Peers change them after gigabytes. */
enum { MOST_CHANGES = 200 };

void tls_session_informed(const SSL *ssl, int what, int value) {
  (void)value;
  TlsSession *s = lib->SSL_get_ex_data(ssl, 0);
  if (!s || !s->ready || !(what & SSL_CB_LOOP) || ++s->changes < MOST_CHANGES) return;
  set_error(s, "the keys are changed too often");
  s->failed = true; /* nothing is read any more */
}

/* A server is about to give these bytes to OpenSSL. False: the session has failed. */
static bool look_at_hello(TlsSession *s, const char *bytes, size_t n) {
  /* Only TLS 1.3 may ask for a second one. */
  if (s->hello.has_one && lib->SSL_version(s->ssl) != TLS1_3_VERSION) s->hello.over = true;
  if (s->hello.over || tls_hello_look(&s->hello, bytes, n)) return true;
  set_error(s, "the ClientHello is too long");
  s->failed = true;
  return false;
}

static int bio_read(BIO *bio, char *to, int n) {
  TlsSession *s = lib->BIO_get_data(bio);
  lib->BIO_clear_flags(bio, BIO_FLAGS_RWS | BIO_FLAGS_SHOULD_RETRY);
  if (s->failed) return -1;
  if (!s->n_in) {
    lib->BIO_set_flags(bio, BIO_FLAGS_READ | BIO_FLAGS_SHOULD_RETRY);
    return -1;
  }
  if ((size_t)n > s->n_in) n = (int)s->n_in;
  if (s->context->is_server && !s->hello.over && !look_at_hello(s, s->in, (size_t)n)) return -1;
  memcpy(to, s->in, (size_t)n);
  s->in += n;
  s->n_in -= (size_t)n;
  return n;
}

static int bio_write(BIO *bio, const char *bytes, int n) {
  TlsSession *s = lib->BIO_get_data(bio);
  lib->BIO_clear_flags(bio, BIO_FLAGS_RWS | BIO_FLAGS_SHOULD_RETRY);
  return buffer_add(s->out, bytes, (size_t)n) ? n : -1;
}

static long bio_ctrl(BIO *bio, int command, long number, void *data) {
  (void)bio, (void)number, (void)data;
  return command == BIO_CTRL_FLUSH;
}

static void make_method(void) {
  const char *error;
  lib = tls_library(&error); /* a context exists, so that it is there */
  method = lib->BIO_meth_new(BIO_TYPE_SOURCE_SINK | 127, "moonloop");
  if (!method) return;
  lib->BIO_meth_set_read(method, bio_read);
  lib->BIO_meth_set_write(method, bio_write);
  lib->BIO_meth_set_ctrl(method, bio_ctrl);
}

/* --- reasons --- */

/* OpenSSL calls this for each certificate of the peer's chain that is not good, and for those that
   are. The first fault is kept, while the certificate is at hand. */
static int on_verified(int ok, X509_STORE_CTX *verification) {
  SSL *ssl =
      lib->X509_STORE_CTX_get_ex_data(verification, lib->SSL_get_ex_data_X509_STORE_CTX_idx());
  TlsSession *s = lib->SSL_get_ex_data(ssl, 0);
  if (ok || s->error) return ok;
  Buffer text = {0};
  if (tls_certificate_reason(lib, lib->X509_STORE_CTX_get_error(verification),
                             lib->X509_STORE_CTX_get_current_cert(verification), s->name, &text) &&
      buffer_add_char(&text, 0))
    set_error(s, text.data);
  buffer_free(&text);
  return ok;
}

int tls_session_offered(SSL *ssl, SSL_SESSION *session) {
  TlsSession *s = lib->SSL_get_ex_data(ssl, 0);
  return s && s->on_session && s->on_session(s, session);
}

/* The failure that OpenSSL has just reported. */
static void fail(TlsSession *s) {
  s->failed = true;
  if (s->error) return;
  unsigned long code = lib->ERR_peek_error();
  int why = ERR_GET_REASON(code);
  const char *text = code ? lib->ERR_reason_error_string(code) : NULL;
  char message[TLS_ERROR_MAX];
  if (ERR_GET_LIB(code) == ERR_LIB_SSL && why >= SSL_AD_REASON_OFFSET)
    snprintf(message, sizeof message, "the peer refused: %s", text ? text : "an alert");
  else if (why == SSL_R_HTTP_REQUEST)
    snprintf(message, sizeof message, "the peer speaks HTTP without TLS");
  else if (why == SSL_R_WRONG_VERSION_NUMBER)
    snprintf(message, sizeof message, "the peer does not speak TLS");
  else if (why == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE)
    snprintf(message, sizeof message, "the client has no certificate");
  else
    snprintf(message, sizeof message, "%s", text ? text : "a fault in the protocol");
  set_error(s, message);
}

/* --- opening and closing --- */

static bool is_address(const char *name) {
  unsigned char bytes[16];
  return inet_pton(AF_INET, name, bytes) == 1 || inet_pton(AF_INET6, name, bytes) == 1;
}

/* Whom a client wants to speak to: a name is also sent, so that the server can choose. */
static bool expect_name(TlsSession *s, const char *name) {
  s->name = strdup(name);
  if (!s->name) return false;
  size_t n = strlen(s->name);
  if (n > 1 && s->name[n - 1] == '.') s->name[n - 1] = 0; /* a certificate has no root's dot */
  bool address = is_address(s->name);
  if (!address &&
      !lib->SSL_ctrl(s->ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, s->name))
    return false;
  if (!s->context->checks_peer) return true;
  X509_VERIFY_PARAM *param = lib->SSL_get0_param(s->ssl);
  lib->X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  return address ? lib->X509_VERIFY_PARAM_set1_ip_asc(param, s->name)
                 : lib->X509_VERIFY_PARAM_set1_host(param, s->name, 0);
}

bool tls_session_open(TlsSession *s, TlsContext *context, const char *name) {
  pthread_once(&once, make_method);
  lib->ERR_clear_error();
  s->ssl = method ? lib->SSL_new(context->ssl) : NULL;
  BIO *bio = s->ssl ? lib->BIO_new(method) : NULL;
  if (bio) {
    lib->BIO_set_data(bio, s);
    lib->BIO_set_init(bio, 1);
    lib->SSL_set_bio(s->ssl, bio, bio);
    s->context = tls_context_retain(context);
    if (lib->SSL_set_ex_data(s->ssl, 0, s) && (!name || expect_name(s, name))) {
      lib->SSL_set_verify(s->ssl, lib->SSL_get_verify_mode(s->ssl), on_verified);
      if (context->is_server)
        lib->SSL_set_accept_state(s->ssl);
      else
        lib->SSL_set_connect_state(s->ssl);
      return true;
    }
  }
  tls_session_close(s);
  return false;
}

bool tls_session_resume(TlsSession *s, SSL_SESSION *session) {
  if (!lib->SSL_SESSION_is_resumable(session)) return false;
  if (!lib->SSL_set_session(s->ssl, session)) {
    lib->ERR_clear_error();
    return false;
  }
  return true;
}

void tls_session_close(TlsSession *s) {
  if (s->ssl) lib->SSL_free(s->ssl); /* with its BIO */
  tls_context_release(s->context);
  buffer_free(&s->kept);
  free(s->error);
  free(s->name);
  *s = (TlsSession){0};
}

/* --- ciphertext that comes --- */

void tls_session_lend(TlsSession *s, const char *bytes, size_t n) {
  if (!s->n_in) {
    s->kept.len = 0;
    s->in = bytes;
    s->n_in = n;
    return;
  }
  /* Something was kept, and comes first. */
  size_t at = (size_t)(s->in - s->kept.data);
  if (!buffer_add(&s->kept, bytes, n)) {
    s->failed = true;
    set_error(s, "out of memory");
    return;
  }
  s->in = s->kept.data + at;
  s->n_in += n;
}

void tls_session_keep(TlsSession *s) {
  if (!s->n_in || s->failed) {
    s->n_in = 0;
    buffer_free(&s->kept);
    return;
  }
  if (s->kept.len) { /* it is there already */
    if (s->n_in > s->kept.len / 2) return;
    memmove(s->kept.data, s->in, s->n_in);
    s->kept.len = s->n_in;
  } else if (!buffer_add(&s->kept, s->in, s->n_in)) {
    s->n_in = 0;
    s->failed = true;
    set_error(s, "out of memory");
    return;
  }
  s->in = s->kept.data;
}

bool tls_session_has_input(const TlsSession *s) {
  return !s->failed && !s->ended && (s->n_in || (s->ready && lib->SSL_pending(s->ssl) > 0));
}

/* --- the protocol --- */

/* What a call's result that is not positive means. */
static int outcome(TlsSession *s, int result) {
  int status = lib->SSL_get_error(s->ssl, result);
  if (status == SSL_ERROR_WANT_READ) return 0;
  if (status == SSL_ERROR_ZERO_RETURN) {
    s->ended = true;
    return UV_EOF;
  }
  fail(s);
  lib->ERR_clear_error();
  return UV_EPROTO;
}

int tls_session_handshake(TlsSession *s) {
  if (s->failed) return UV_EPROTO;
  if (s->ready) return 1;
  lib->ERR_clear_error();
  int result = lib->SSL_do_handshake(s->ssl);
  if (result != 1) {
    int status = outcome(s, result);
    if (status != UV_EOF) return status;
    s->ended = false; /* an end at this point is not in order */
    return tls_session_transport_ended(s);
  }
  free(s->error); /* of a certificate that `verify = false` lets pass */
  s->error = NULL;
  s->ready = true;
  /* Before TLS 1.3 a session may be resumed any number of times, and is not offered again. */
  if (s->on_session && lib->SSL_version(s->ssl) < TLS1_3_VERSION &&
      lib->SSL_session_reused(s->ssl)) {
    SSL_SESSION *session = lib->SSL_get1_session(s->ssl);
    if (session && !s->on_session(s, session)) lib->SSL_SESSION_free(session);
  }
  return 1;
}

ssize_t tls_session_read(TlsSession *s, char *to, size_t n) {
  if (s->failed) return UV_EPROTO;
  if (s->ended) return UV_EOF;
  lib->ERR_clear_error();
  int result = lib->SSL_read(s->ssl, to, n < INT_MAX ? (int)n : INT_MAX);
  return result > 0 ? result : outcome(s, result);
}

int tls_session_write(TlsSession *s, const char *bytes, size_t n) {
  if (s->failed || s->shut) return UV_EPROTO;
  lib->ERR_clear_error();
  while (n) {
    int part = n < (1 << 30) ? (int)n : 1 << 30;
    int result = lib->SSL_write(s->ssl, bytes, part);
    if (result <= 0) {
      int status = outcome(s, result);
      return status ? status : UV_ENOMEM; /* the BIO takes everything unless memory is out */
    }
    bytes += result;
    n -= (size_t)result;
  }
  return 0;
}

void tls_session_shut(TlsSession *s) {
  if (s->shut || s->failed || !s->ready) return;
  s->shut = true;
  lib->ERR_clear_error();
  lib->SSL_shutdown(s->ssl);
  lib->ERR_clear_error();
}

int tls_session_transport_ended(TlsSession *s) {
  if (s->ended) return UV_EOF;
  s->failed = s->cut = true;
  set_error(s, s->ready ? "the connection was cut: the peer has not said that it ends"
                        : "the peer has closed the connection during the handshake");
  return UV_EPROTO;
}

void tls_session_agreed(const TlsSession *s, TlsAgreed *agreed) {
  const unsigned char *alpn;
  *agreed = (TlsAgreed){.version = lib->SSL_get_version(s->ssl),
                        .cipher = lib->SSL_CIPHER_get_name(lib->SSL_get_current_cipher(s->ssl)),
                        .resumed = lib->SSL_session_reused(s->ssl),
                        .peer = lib->SSL_get0_peer_certificate(s->ssl)};
  lib->SSL_get0_alpn_selected(s->ssl, &alpn, &agreed->n_alpn);
  agreed->alpn = (const char *)alpn;
}
