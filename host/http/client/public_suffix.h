/* Public suffixes: domains like "com", "co.uk" and "github.io", below which anybody can have a
   name, so no cookie may be for all of it. The list is that of libpsl (publicsuffix.org). */
#ifndef ML_PUBLIC_SUFFIX_H
#define ML_PUBLIC_SUFFIX_H

typedef enum PublicSuffix {
  PUBLIC_SUFFIX_NO,
  PUBLIC_SUFFIX_YES,
  PUBLIC_SUFFIX_UNKNOWN, /* libpsl cannot be loaded, or has no list */
} PublicSuffix;

/* Is `domain`, in lower case and in ASCII, a public suffix? A single label that is on no list is
   one. The first call loads libpsl and the list, the newer of the library's own and the system's.
   From any thread. */
PublicSuffix public_suffix(const char *domain);

#endif
