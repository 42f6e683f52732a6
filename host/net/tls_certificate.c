#include "net/tls_certificate.h"

#include <arpa/inet.h>
#include <stdio.h>

/* --- names --- */

static bool add_name(const TlsLibrary *lib, X509_NAME *name, Buffer *to) {
  int n = lib->X509_NAME_entry_count(name);
  for (int i = 0; i < n; i++) {
    X509_NAME_ENTRY *entry = lib->X509_NAME_get_entry(name, i);
    const char *key = lib->OBJ_nid2sn(lib->OBJ_obj2nid(lib->X509_NAME_ENTRY_get_object(entry)));
    ASN1_STRING *value = lib->X509_NAME_ENTRY_get_data(entry);
    if (!buffer_printf(to, "%s%s=", i ? ", " : "", key)) return false;
    const unsigned char *bytes = lib->ASN1_STRING_get0_data(value);
    for (int at = 0; at < lib->ASN1_STRING_length(value); at++) {
      bool plain = bytes[at] >= ' ' && bytes[at] != 0x7f; /* it ends up in messages and logs */
      if (!buffer_add_char(to, plain ? (char)bytes[at] : '?')) return false;
    }
  }
  return true;
}

bool tls_certificate_subject(const TlsLibrary *lib, X509 *cert, Buffer *to) {
  return add_name(lib, lib->X509_get_subject_name(cert), to);
}

bool tls_certificate_issuer(const TlsLibrary *lib, X509 *cert, Buffer *to) {
  return add_name(lib, lib->X509_get_issuer_name(cert), to);
}

/* False: `each` wants no more. */
static bool tell_name(const TlsLibrary *lib, const GENERAL_NAME *name, TlsNameOf *each,
                      void *data) {
  if (name->type == GEN_DNS || name->type == GEN_EMAIL || name->type == GEN_URI) {
    const ASN1_STRING *text = name->d.ia5;
    return each(data, (const char *)lib->ASN1_STRING_get0_data(text),
                (size_t)lib->ASN1_STRING_length(text));
  }
  if (name->type != GEN_IPADD) return true;
  char address[INET6_ADDRSTRLEN];
  int n = lib->ASN1_STRING_length(name->d.iPAddress);
  const void *bytes = lib->ASN1_STRING_get0_data(name->d.iPAddress);
  if ((n != 4 && n != 16) ||
      !inet_ntop(n == 4 ? AF_INET : AF_INET6, bytes, address, sizeof address))
    return true;
  return each(data, address, strlen(address));
}

void tls_certificate_names(const TlsLibrary *lib, X509 *cert, TlsNameOf *each, void *data) {
  GENERAL_NAMES *names = lib->X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
  if (!names) return;
  int n = lib->OPENSSL_sk_num((const OPENSSL_STACK *)names);
  for (int i = 0; i < n; i++)
    if (!tell_name(lib, lib->OPENSSL_sk_value((const OPENSSL_STACK *)names, i), each, data)) break;
  lib->GENERAL_NAMES_free(names);
}

typedef struct NameList {
  Buffer *to;
  unsigned n, most;
  bool ok;
} NameList;

static bool add_to_list(void *data, const char *name, size_t n) {
  NameList *list = data;
  if (list->n++ == list->most) {
    if (list->most > 1) list->ok = buffer_printf(list->to, ", ...");
    return false;
  }
  list->ok = (list->n == 1 || buffer_add(list->to, ", ", 2));
  for (size_t i = 0; list->ok && i < n; i++)
    list->ok = buffer_add_char(list->to, name[i] >= ' ' && name[i] < 0x7f ? name[i] : '?');
  return list->ok;
}

/* Appends at most `most` names, or the subject if there are none. */
static bool add_names(const TlsLibrary *lib, X509 *cert, unsigned most, Buffer *to) {
  NameList list = {.to = to, .most = most, .ok = true};
  tls_certificate_names(lib, cert, add_to_list, &list);
  return list.ok && (list.n || tls_certificate_subject(lib, cert, to));
}

bool tls_certificate_title(const TlsLibrary *lib, X509 *cert, Buffer *to) {
  return add_names(lib, cert, 1, to);
}

/* --- times --- */

static time_t seconds_of(const TlsLibrary *lib, const ASN1_TIME *time) {
  struct tm parts;
  return time && lib->ASN1_TIME_to_tm(time, &parts) ? timegm(&parts) : 0;
}

time_t tls_certificate_not_after(const TlsLibrary *lib, X509 *cert) {
  return seconds_of(lib, lib->X509_get0_notAfter(cert));
}

static bool add_day(time_t seconds, Buffer *to) {
  char day[32];
  struct tm parts;
  size_t n = gmtime_r(&seconds, &parts) ? strftime(day, sizeof day, "%Y-%m-%d", &parts) : 0;
  return buffer_add(to, day, n);
}

bool tls_certificate_fingerprint(const TlsLibrary *lib, X509 *cert,
                                 unsigned char print[static TLS_FINGERPRINT]) {
  unsigned n = 0;
  return lib->X509_digest(cert, lib->EVP_sha256(), print, &n) && n == TLS_FINGERPRINT;
}

/* --- reasons --- */

static bool add_title(const TlsLibrary *lib, X509 *cert, const char *before, Buffer *to) {
  return buffer_printf(to, "%s", before) && tls_certificate_title(lib, cert, to);
}

bool tls_certificate_reason(const TlsLibrary *lib, int error, X509 *cert, const char *asked,
                            Buffer *to) {
  if (!cert) return buffer_printf(to, "%s", lib->X509_verify_cert_error_string(error));
  switch (error) {
  case X509_V_ERR_CERT_HAS_EXPIRED:
    return add_title(lib, cert, "the certificate of ", to) && buffer_printf(to, " expired on ") &&
           add_day(tls_certificate_not_after(lib, cert), to);
  case X509_V_ERR_CERT_NOT_YET_VALID:
    return add_title(lib, cert, "the certificate of ", to) &&
           buffer_printf(to, " is not valid before ") &&
           add_day(seconds_of(lib, lib->X509_get0_notBefore(cert)), to);
  case X509_V_ERR_HOSTNAME_MISMATCH:
  case X509_V_ERR_IP_ADDRESS_MISMATCH:
    return buffer_printf(to, "the name does not match: the certificate is for ") &&
           add_names(lib, cert, 6, to) && buffer_printf(to, ", not for %s", asked ? asked : "it");
  case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    return add_title(lib, cert, "unknown authority: the certificate of ", to) &&
           buffer_printf(to, " is self-signed (to trust it, give it as `ca`)");
  case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    return buffer_printf(to, "unknown authority: ") && tls_certificate_subject(lib, cert, to) &&
           buffer_printf(to, " (to trust it, give it as `ca`)");
  case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
  case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
  case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    return add_title(lib, cert, "unknown authority: the certificate of ", to) &&
           buffer_printf(to, " was issued by ") && tls_certificate_issuer(lib, cert, to) &&
           buffer_printf(to, ", which is not trusted, or whose certificate was not sent");
  default:
    return add_title(lib, cert, "the certificate of ", to) &&
           buffer_printf(to, ": %s", lib->X509_verify_cert_error_string(error));
  }
}
