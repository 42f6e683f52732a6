/* Room for new clients where max_connections is reached, no descriptors are left, or max_buffered
   is nearly reached: those go whose clients have said nothing for longest, or hold much and move
   little.
   */
#ifndef ML_HTTP_ROOM_H
#define ML_HTTP_ROOM_H

typedef struct HttpServer HttpServer;
typedef struct HttpConnection HttpConnection;

typedef enum HttpRoomLack { HTTP_ROOM_CONNECTIONS, HTTP_ROOM_DESCRIPTORS } HttpRoomLack;

enum { HTTP_ROOM = 64 };

/* How many are to go at once: a share of all, HTTP_ROOM at most. */
unsigned http_room_share(const HttpServer *server);

/* What was found. */
typedef enum HttpRoomKind {
  HTTP_ROOM_WAITING, /* they wait for nothing but their client, between two requests, in a
                        handshake, a head or a body; those first that have been waited for longest
                      */
  HTTP_ROOM_SLOW,    /* there are none: their clients take a response; the slowest first */
  HTTP_ROOM_LATER    /* nor are there these; but writes have begun whose pace is not known yet */
} HttpRoomKind;

/* Clients wait, and no more may be accepted: finds some of the connections that can go. Returns how
   many. Reports that it was called, the first time for each reason and each time the number of
   calls has doubled, and tells observers each time. */
unsigned http_room_find(HttpServer *server, HttpRoomLack lack, HttpConnection *found[HTTP_ROOM],
                        HttpRoomKind *kind);

/* While the server keeps nearly max_buffered, calls `cut`, which ends it, for each connection whose
   client holds some of it and moves too little for that: as much as is kept of it should come, or
   go, within body_timeout. To be called now and then. */
void http_room_cut(HttpServer *server, void (*cut)(HttpConnection *c));

#endif
