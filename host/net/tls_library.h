/* OpenSSL's libssl 3, and through it libcrypto, loaded on first use: it costs milliseconds of
   start-up and megabytes of memory, which a program without TLS should not pay. */
#ifndef ML_TLS_LIBRARY_H
#define ML_TLS_LIBRARY_H

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

/* The functions that the host calls. Some of OpenSSL's names are macros over these. */
#define TLS_FUNCTIONS(X)                                                                           \
  X(ASN1_STRING_get0_data)                                                                         \
  X(ASN1_STRING_length)                                                                            \
  X(ASN1_TIME_to_tm)                                                                               \
  X(BIO_clear_flags)                                                                               \
  X(BIO_free)                                                                                      \
  X(BIO_get_data)                                                                                  \
  X(BIO_meth_new)                                                                                  \
  X(BIO_meth_set_ctrl)                                                                             \
  X(BIO_meth_set_read)                                                                             \
  X(BIO_meth_set_write)                                                                            \
  X(BIO_new)                                                                                       \
  X(BIO_new_mem_buf)                                                                               \
  X(BIO_set_data)                                                                                  \
  X(BIO_set_flags)                                                                                 \
  X(BIO_set_init)                                                                                  \
  X(ERR_clear_error)                                                                               \
  X(ERR_peek_error)                                                                                \
  X(ERR_peek_last_error)                                                                           \
  X(ERR_reason_error_string)                                                                       \
  X(EVP_CIPHER_fetch)                                                                              \
  X(EVP_CIPHER_free)                                                                               \
  X(EVP_DecryptInit_ex)                                                                            \
  X(EVP_Digest)                                                                                    \
  X(EVP_EncryptInit_ex)                                                                            \
  X(EVP_MAC_CTX_set_params)                                                                        \
  X(EVP_PKEY_free)                                                                                 \
  X(EVP_sha256)                                                                                    \
  X(GENERAL_NAMES_free)                                                                            \
  X(OPENSSL_sk_new_null)                                                                           \
  X(OPENSSL_sk_num)                                                                                \
  X(OPENSSL_sk_push)                                                                               \
  X(OPENSSL_sk_value)                                                                              \
  X(OSSL_PARAM_construct_end)                                                                      \
  X(OSSL_PARAM_construct_octet_string)                                                             \
  X(OSSL_PARAM_construct_utf8_string)                                                              \
  X(PEM_read_bio_PrivateKey)                                                                       \
  X(PEM_read_bio_X509)                                                                             \
  X(RAND_bytes)                                                                                    \
  X(SSL_CIPHER_get_name)                                                                           \
  X(SSL_CTX_ctrl)                                                                                  \
  X(SSL_CTX_callback_ctrl)                                                                         \
  X(SSL_CTX_free)                                                                                  \
  X(SSL_CTX_get_cert_store)                                                                        \
  X(SSL_CTX_new)                                                                                   \
  X(SSL_CTX_sess_set_new_cb)                                                                       \
  X(SSL_CTX_set_alpn_protos)                                                                       \
  X(SSL_CTX_set_alpn_select_cb)                                                                    \
  X(SSL_CTX_set_info_callback)                                                                     \
  X(SSL_CTX_set_cipher_list)                                                                       \
  X(SSL_CTX_set_client_CA_list)                                                                    \
  X(SSL_CTX_set_default_verify_paths)                                                              \
  X(SSL_CTX_set_num_tickets)                                                                       \
  X(SSL_CTX_set_options)                                                                           \
  X(SSL_CTX_set_session_id_context)                                                                \
  X(SSL_CTX_set_timeout)                                                                           \
  X(SSL_CTX_set_tlsext_ticket_key_evp_cb)                                                          \
  X(SSL_CTX_set_verify)                                                                            \
  X(SSL_CTX_use_PrivateKey)                                                                        \
  X(SSL_CTX_use_certificate)                                                                       \
  X(SSL_SESSION_free)                                                                              \
  X(SSL_SESSION_is_resumable)                                                                      \
  X(SSL_ctrl)                                                                                      \
  X(SSL_do_handshake)                                                                              \
  X(SSL_free)                                                                                      \
  X(SSL_get0_alpn_selected)                                                                        \
  X(SSL_get0_param)                                                                                \
  X(SSL_get0_peer_certificate)                                                                     \
  X(SSL_get_current_cipher)                                                                        \
  X(SSL_get_error)                                                                                 \
  X(SSL_get1_session)                                                                              \
  X(SSL_get_ex_data)                                                                               \
  X(SSL_get_ex_data_X509_STORE_CTX_idx)                                                            \
  X(SSL_get_servername)                                                                            \
  X(SSL_get_verify_result)                                                                         \
  X(SSL_get_verify_mode)                                                                           \
  X(SSL_get_version)                                                                               \
  X(SSL_new)                                                                                       \
  X(SSL_pending)                                                                                   \
  X(SSL_read)                                                                                      \
  X(SSL_session_reused)                                                                            \
  X(SSL_set_SSL_CTX)                                                                               \
  X(SSL_set_accept_state)                                                                          \
  X(SSL_set_bio)                                                                                   \
  X(SSL_set_connect_state)                                                                         \
  X(SSL_set_ex_data)                                                                               \
  X(SSL_set_session)                                                                               \
  X(SSL_set_verify)                                                                                \
  X(SSL_shutdown)                                                                                  \
  X(SSL_version)                                                                                   \
  X(SSL_write)                                                                                     \
  X(TLS_client_method)                                                                             \
  X(TLS_server_method)                                                                             \
  X(X509_NAME_dup)                                                                                 \
  X(X509_NAME_get_entry)                                                                           \
  X(X509_NAME_entry_count)                                                                         \
  X(X509_NAME_ENTRY_get_data)                                                                      \
  X(X509_NAME_ENTRY_get_object)                                                                    \
  X(OBJ_obj2nid)                                                                                   \
  X(OBJ_nid2sn)                                                                                    \
  X(X509_STORE_CTX_get_current_cert)                                                               \
  X(X509_STORE_CTX_get_error)                                                                      \
  X(X509_STORE_CTX_get_ex_data)                                                                    \
  X(X509_STORE_add_cert)                                                                           \
  X(X509_VERIFY_PARAM_set1_host)                                                                   \
  X(X509_VERIFY_PARAM_set1_ip_asc)                                                                 \
  X(X509_VERIFY_PARAM_set_hostflags)                                                               \
  X(X509_check_host)                                                                               \
  X(X509_check_private_key)                                                                        \
  X(X509_digest)                                                                                   \
  X(X509_free)                                                                                     \
  X(X509_get0_notAfter)                                                                            \
  X(X509_get0_notBefore)                                                                           \
  X(X509_get_ext_d2i)                                                                              \
  X(X509_get_issuer_name)                                                                          \
  X(X509_get_subject_name)                                                                         \
  X(X509_verify_cert_error_string)

#define TLS_MEMBER(name) __typeof__(name) *name;
typedef struct TlsLibrary {
  TLS_FUNCTIONS(TLS_MEMBER)
} TlsLibrary;
#undef TLS_MEMBER

/* OpenSSL's functions, loaded once per process; from any thread. NULL if that failed: then `*error`
   says why, in a string that lives as long as the process. */
const TlsLibrary *tls_library(const char **error);

#endif
