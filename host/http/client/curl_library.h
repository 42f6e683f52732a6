/* libcurl, loaded on first use: with its thirty libraries it costs 5 ms of start-up and 6 MB of
   memory, which a script or server without requests should not pay. */
#ifndef ML_CURL_LIBRARY_H
#define ML_CURL_LIBRARY_H

#include <curl/curl.h>

/* The functions of libcurl that the host calls. */
#define CURL_FUNCTIONS(X)                                                                          \
  X(global_init)                                                                                   \
  X(easy_init)                                                                                     \
  X(easy_cleanup)                                                                                  \
  X(easy_setopt)                                                                                   \
  X(easy_getinfo)                                                                                  \
  X(easy_pause)                                                                                    \
  X(easy_strerror)                                                                                 \
  X(multi_init)                                                                                    \
  X(multi_cleanup)                                                                                 \
  X(multi_setopt)                                                                                  \
  X(multi_add_handle)                                                                              \
  X(multi_remove_handle)                                                                           \
  X(multi_socket_action)                                                                           \
  X(multi_info_read)                                                                               \
  X(slist_append)                                                                                  \
  X(slist_free_all)                                                                                \
  X(url)                                                                                           \
  X(url_set)                                                                                       \
  X(url_get)                                                                                       \
  X(url_strerror)                                                                                  \
  X(version_info)                                                                                  \
  X(url_cleanup)                                                                                   \
  X(free)

#define CURL_MEMBER(name) __typeof__(curl_##name) *name;
typedef struct CurlLibrary {
  CURL_FUNCTIONS(CURL_MEMBER)
} CurlLibrary;
#undef CURL_MEMBER

/* libcurl's functions, loaded and initialised once per process, from any thread. NULL if that
   failed: then `*error` says why, in a string that lives as long as the process. */
const CurlLibrary *curl_library(const char **error);

#endif
