/* A client's WebSocket: its carrier is a stream of ml.net, which was used for the handshake. */
#ifndef ML_WS_CLIENT_H
#define ML_WS_CLIENT_H

#include "stream/stream_socket.h"
#include "websocket/ws_link.h"

/* Makes a link over an open stream, which it takes over in any case, with what has come on it and
   was not read. The caller has a reference. NULL: memory is out. */
WsLink *ws_client_new(StreamSocket *socket, const WsOptions *options);

#endif
