#include "jwt/jwt_key.h"

#include "jwt/crypto_library.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct JwtKey {
  const CryptoLibrary *crypto;
  EVP_PKEY *key;
  atomic_uint users;
  bool is_rsa;
};

enum { P256 = 32, DER_SIGNATURE = 2 + 2 * (3 + P256) };

/* --- ECDSA's signatures: r and s, or SEQUENCE { INTEGER r, INTEGER s } --- */

/* Writes INTEGER of 32 bytes; returns its end. */
static unsigned char *write_integer(unsigned char *p, const unsigned char *bytes) {
  size_t n = P256;
  while (n > 1 && !*bytes) bytes++, n--;
  bool is_high = *bytes & 0x80;
  *p++ = 2;
  *p++ = (unsigned char)(n + is_high);
  if (is_high) *p++ = 0;
  memcpy(p, bytes, n);
  return p + n;
}

static size_t raw_to_der(unsigned char der[DER_SIGNATURE], const unsigned char *raw) {
  unsigned char *end = write_integer(write_integer(der + 2, raw), raw + P256);
  der[0] = 0x30;
  der[1] = (unsigned char)(end - der - 2);
  return (size_t)(end - der);
}

/* Reads INTEGER of at most 32 bytes, as libcrypto writes it; returns its end, or NULL. */
static const unsigned char *read_integer(const unsigned char *p, const unsigned char *end,
                                         unsigned char *out) {
  if (!p || end - p < 2 || p[0] != 2 || p[1] > end - p - 2) return NULL;
  size_t n = p[1];
  p += 2;
  while (n > P256 && !*p) p++, n--;
  if (n > P256) return NULL;
  memset(out, 0, P256);
  memcpy(out + P256 - n, p, n);
  return p + n;
}

static bool der_to_raw(unsigned char raw[2 * P256], const unsigned char *der, size_t n) {
  const unsigned char *end = der + n;
  if (n < 2 || der[0] != 0x30 || der[1] != n - 2) return false;
  return read_integer(read_integer(der + 2, end, raw), end, raw + P256) == end;
}

/* --- signatures --- */

/* Sets up PS256's padding: its salt is as long as the hash. */
static bool set_padding(const CryptoLibrary *crypto, EVP_PKEY_CTX *ctx, JwtAlgorithm algorithm) {
  return algorithm != JWT_PS256 ||
         (crypto->EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) > 0 &&
          crypto->EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_DIGEST) > 0);
}

static bool fits(const JwtKey *key, JwtAlgorithm algorithm) {
  return key->is_rsa == (algorithm != JWT_ES256);
}

bool jwt_key_sign(const JwtKey *key, JwtAlgorithm algorithm, const void *text, size_t n,
                  unsigned char signature[JWT_KEY_SIGNATURE], size_t *len) {
  const CryptoLibrary *crypto = key->crypto;
  EVP_PKEY_CTX *ctx;
  unsigned char made[JWT_KEY_SIGNATURE];
  size_t made_len = sizeof made;
  EVP_MD_CTX *md = fits(key, algorithm) ? crypto->EVP_MD_CTX_new() : NULL;
  bool ok = md && crypto->EVP_DigestSignInit(md, &ctx, crypto->EVP_sha256(), NULL, key->key) > 0 &&
            set_padding(crypto, ctx, algorithm) &&
            crypto->EVP_DigestSign(md, made, &made_len, text, n) > 0;
  crypto->EVP_MD_CTX_free(md);
  if (!ok) crypto->ERR_clear_error();
  if (ok && algorithm == JWT_ES256) {
    *len = 2 * P256;
    return der_to_raw(signature, made, made_len);
  }
  *len = made_len;
  if (ok) memcpy(signature, made, made_len);
  return ok;
}

bool jwt_key_verify(const JwtKey *key, JwtAlgorithm algorithm, const void *text, size_t n,
                    const void *signature, size_t len) {
  const CryptoLibrary *crypto = key->crypto;
  EVP_PKEY_CTX *ctx;
  unsigned char der[DER_SIGNATURE];
  if (algorithm == JWT_ES256) {
    if (len != 2 * P256) return false;
    len = raw_to_der(der, signature);
    signature = der;
  }
  EVP_MD_CTX *md = fits(key, algorithm) ? crypto->EVP_MD_CTX_new() : NULL;
  bool ok = md &&
            crypto->EVP_DigestVerifyInit(md, &ctx, crypto->EVP_sha256(), NULL, key->key) > 0 &&
            set_padding(crypto, ctx, algorithm) &&
            crypto->EVP_DigestVerify(md, signature, len, text, n) == 1;
  crypto->EVP_MD_CTX_free(md);
  if (!ok) crypto->ERR_clear_error();
  return ok;
}

/* --- keys --- */

JwtKey *jwt_key_share(JwtKey *key) {
  atomic_fetch_add(&key->users, 1);
  return key;
}

void jwt_key_free(JwtKey *key) {
  if (!key || atomic_fetch_sub(&key->users, 1) > 1) return;
  key->crypto->EVP_PKEY_free(key->key);
  free(key);
}

bool jwt_key_is_rsa(const JwtKey *key) { return key->is_rsa; }

/* NULL, or what makes the key unfit. */
static const char *check(JwtKey *key, char error[JWT_KEY_ERROR]) {
  const CryptoLibrary *crypto = key->crypto;
  int type = crypto->EVP_PKEY_get_base_id(key->key), bits = crypto->EVP_PKEY_get_bits(key->key);
  char group[32] = "";
  key->is_rsa = type == EVP_PKEY_RSA;
  if (key->is_rsa) {
    if (bits >= JWT_KEY_BITS_LEAST && bits <= JWT_KEY_BITS_MOST) return NULL;
    snprintf(error, JWT_KEY_ERROR, "a key of RSA has %d bits (%d to %d expected)", bits,
             JWT_KEY_BITS_LEAST, JWT_KEY_BITS_MOST);
    return error;
  }
  if (type != EVP_PKEY_EC) return "a key is neither of RSA nor of ECDSA nor of Ed25519";
  if (crypto->EVP_PKEY_get_group_name(key->key, group, sizeof group, NULL) <= 0 ||
      strcmp(group, "prime256v1") != 0) {
    snprintf(error, JWT_KEY_ERROR, "a key of ECDSA has the curve %s (only P-256 is supported)",
             group[0] ? group : "of somebody's own");
    return error;
  }
  return NULL;
}

/* Do the private half and the public half belong together? */
static bool is_pair(const JwtKey *key) {
  JwtAlgorithm algorithm = key->is_rsa ? JWT_RS256 : JWT_ES256;
  unsigned char signature[JWT_KEY_SIGNATURE];
  size_t len;
  return jwt_key_sign(key, algorithm, "pair", 4, signature, &len) &&
         jwt_key_verify(key, algorithm, "pair", 4, signature, len);
}

JwtKey *jwt_key_new(const char *der, size_t n, bool is_private, char error[JWT_KEY_ERROR]) {
  const char *wrong = "out of memory";
  const CryptoLibrary *crypto = crypto_library(&wrong);
  JwtKey *key = crypto ? calloc(1, sizeof *key) : NULL;
  if (key) {
    const unsigned char *p = (const unsigned char *)der;
    key->crypto = crypto;
    atomic_init(&key->users, 1);
    key->key = is_private ? crypto->d2i_AutoPrivateKey(NULL, &p, (long)n)
                          : crypto->d2i_PUBKEY(NULL, &p, (long)n);
    bool is_whole = key->key && p == (const unsigned char *)der + n;
    crypto->ERR_clear_error();
    wrong = is_whole ? check(key, error) : "a key is malformed";
    if (!wrong && is_private && !is_pair(key)) wrong = "a private key does not fit its public part";
    if (!wrong) return key;
    jwt_key_free(key);
  }
  if (wrong != error) snprintf(error, JWT_KEY_ERROR, "%s", wrong);
  return NULL;
}
