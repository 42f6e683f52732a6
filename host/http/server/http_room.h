/* Room for new clients where max_connections is reached, or no descriptors are left: those go whose
   clients have said nothing for longest. */
#ifndef ML_HTTP_ROOM_H
#define ML_HTTP_ROOM_H

typedef struct HttpServer HttpServer;
typedef struct HttpConnection HttpConnection;

typedef enum HttpRoomLack { HTTP_ROOM_CONNECTIONS, HTTP_ROOM_DESCRIPTORS } HttpRoomLack;

enum { HTTP_ROOM = 64 };

/* How many are to go at once: a share of all, HTTP_ROOM at most. */
unsigned http_room_share(const HttpServer *server);

/* Clients wait, and no more may be accepted: finds some of the connections that wait for nothing
   but their client, between two requests, in a handshake, a head or a body; those first that have
   been waited for longest. Returns how many. Reports that it was called, the first time for each
   reason and each time the number of calls has doubled, and tells observers each time. */
unsigned http_room_find(HttpServer *server, HttpRoomLack lack, HttpConnection *found[HTTP_ROOM]);

#endif
