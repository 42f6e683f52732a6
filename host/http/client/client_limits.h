/* What a server may cost a client, and a response its reader; the same for HTTP/1.1 and HTTP/2. */
#ifndef ML_CLIENT_LIMITS_H
#define ML_CLIENT_LIMITS_H

enum {
  CLIENT_MAX_HEAD = 256 * 1024,   /* bytes of all heads and trailers of one response */
  CLIENT_MAX_FIELDS = 1000,       /* their lines */
  CLIENT_MAX_UNSENT = 64 * 1024,  /* unsent bytes of an upload above which its writer waits */
  CLIENT_MAX_UNREAD = 128 * 1024, /* unread bytes of a body in pieces above which reading stops */
};

#endif
