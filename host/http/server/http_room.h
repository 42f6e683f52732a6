/* Room for new clients where max_connections is reached, or no descriptors are left: those go whose
   clients have said nothing for longest. */
#ifndef ML_HTTP_ROOM_H
#define ML_HTTP_ROOM_H

#include <stdbool.h>

typedef struct HttpServer HttpServer;

typedef enum HttpRoomLack { HTTP_ROOM_CONNECTIONS, HTTP_ROOM_DESCRIPTORS } HttpRoomLack;

typedef enum HttpRoom {
  HTTP_ROOM_NONE,
  HTTP_ROOM_SOON, /* those that it found have bytes that are about to be read: ask again then */
  HTTP_ROOM_MADE,
} HttpRoom;

/* Clients wait, and no more may be accepted: closes some of the connections that wait for nothing
   but their client: between two requests, in a handshake, a head or a body. Reports that it was
   called, the first time for each reason and each time the number of calls has doubled, and tells
   observers each time. */
HttpRoom http_room_make(HttpServer *server, HttpRoomLack lack);

#endif
