/* Reads the certificates that peers of TLS show, and says what is wrong with them: what is said of
   them goes into messages and logs, so that no control character may be in it. The first byte
   chooses the fault. */
#include "fuzz.h"
#include "net/tls_certificate.h"

#include <dlfcn.h>

/* Nothing may begin a line of its own in a log, or speak to a terminal. */
static void check_shown(const Buffer *text) {
  for (size_t i = 0; i < text->len; i++) {
    unsigned char c = (unsigned char)text->data[i];
    check(c >= ' ' && c != 0x7f);
  }
}

static bool check_name(void *data, const char *name, size_t n) {
  volatile char last = n ? name[n - 1] : 0; /* ASan looks at it */
  (void)last;
  return --*(unsigned *)data > 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static X509 *(*read_certificate)(X509 **, const unsigned char **, long);
  const char *missing;
  const TlsLibrary *lib = tls_library(&missing);
  check(lib);
  if (!read_certificate)
    *(void **)&read_certificate = dlsym(dlopen("libcrypto.so.3", RTLD_NOW), "d2i_X509");
  check(read_certificate);
  if (!size) return 0;
  const unsigned char *at = data + 1;
  X509 *cert = read_certificate(NULL, &at, (long)size - 1);
  lib->ERR_clear_error();
  if (!cert) return 0;
  static const int faults[] = {X509_V_ERR_CERT_HAS_EXPIRED,
                               X509_V_ERR_CERT_NOT_YET_VALID,
                               X509_V_ERR_HOSTNAME_MISMATCH,
                               X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT,
                               X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN,
                               X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT,
                               X509_V_ERR_CERT_REVOKED};
  Buffer text = {0};
  check(tls_certificate_subject(lib, cert, &text) && tls_certificate_issuer(lib, cert, &text));
  check(tls_certificate_title(lib, cert, &text));
  int fault = faults[data[0] % (sizeof faults / sizeof *faults)];
  check(tls_certificate_reason(lib, fault, cert, "asked", &text));
  check_shown(&text);
  buffer_free(&text);
  unsigned most = 100;
  tls_certificate_names(lib, cert, check_name, &most);
  tls_certificate_not_after(lib, cert);
  unsigned char print[TLS_FINGERPRINT];
  check(tls_certificate_fingerprint(lib, cert, print));
  lib->X509_free(cert);
  lib->ERR_clear_error();
  return 0;
}
