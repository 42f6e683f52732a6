/* What a proxy answers to CONNECT (RFC 9110 section 9.3.6). */
#ifndef ML_CLIENT_TUNNEL_H
#define ML_CLIENT_TUNNEL_H

#include <stddef.h>

typedef enum ClientTunnelState {
  CLIENT_TUNNEL_MORE,    /* the answer is not complete */
  CLIENT_TUNNEL_OPEN,    /* what follows is between us and the server */
  CLIENT_TUNNEL_REFUSED, /* its status says why */
  CLIENT_TUNNEL_WRONG,   /* it is no answer */
} ClientTunnelState;

typedef struct ClientTunnelAnswer {
  ClientTunnelState state;
  const char *wrong; /* what the proxy does, a literal, behind its name */
  const char *line;  /* of a refusal: its head, which begins with the status line */
  size_t n;
} ClientTunnelAnswer;

/* Reads the answer as far as it has come; interim answers (section 15.2) are passed over. */
ClientTunnelAnswer client_tunnel_read(const char *bytes, size_t n);

#endif
