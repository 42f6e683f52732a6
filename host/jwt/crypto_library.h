/* OpenSSL's libcrypto 3, loaded on first use: with its configuration it costs milliseconds of
   start-up and 5 MB of memory, which an app without RSA and ECDSA should not pay. */
#ifndef ML_CRYPTO_LIBRARY_H
#define ML_CRYPTO_LIBRARY_H

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

/* The functions of libcrypto that the host calls. */
#define CRYPTO_FUNCTIONS(X)                                                                        \
  X(d2i_PUBKEY)                                                                                    \
  X(d2i_AutoPrivateKey)                                                                            \
  X(EVP_PKEY_free)                                                                                 \
  X(EVP_PKEY_up_ref)                                                                               \
  X(EVP_PKEY_get_base_id)                                                                          \
  X(EVP_PKEY_get_bits)                                                                             \
  X(EVP_PKEY_get_group_name)                                                                       \
  X(EVP_PKEY_CTX_set_rsa_padding)                                                                  \
  X(EVP_PKEY_CTX_set_rsa_pss_saltlen)                                                              \
  X(EVP_MD_CTX_new)                                                                                \
  X(EVP_MD_CTX_free)                                                                               \
  X(EVP_DigestSignInit)                                                                            \
  X(EVP_DigestSign)                                                                                \
  X(EVP_DigestVerifyInit)                                                                          \
  X(EVP_DigestVerify)                                                                              \
  X(EVP_sha256)                                                                                    \
  X(ERR_clear_error)

#define CRYPTO_MEMBER(name) __typeof__(name) *name;
typedef struct CryptoLibrary {
  CRYPTO_FUNCTIONS(CRYPTO_MEMBER)
} CryptoLibrary;
#undef CRYPTO_MEMBER

/* libcrypto's functions, loaded once per process, from any thread, not that of a loop. NULL if that
   failed: then `*error` says why, in a string that lives as long as the process. */
const CryptoLibrary *crypto_library(const char **error);

#endif
