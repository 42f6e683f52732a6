#include "websocket/ws_client.h"

static StreamSocket *socket_of(ByteStream *bytes) {
  return container_of(bytes, StreamSocket, bytes);
}

/* The stream is lent to a link as long as this is not NULL. */
static WsLink *link_of(ByteStream *bytes) { return socket_of(bytes)->on_close_data; }

static uv_buf_t room(ByteStream *bytes) { return ws_link_room(link_of(bytes)); }

static void came(ByteStream *bytes, const char *data, size_t n) {
  ws_link_came(link_of(bytes), (char *)(uintptr_t)data, n);
}

static void ended(ByteStream *bytes, int status) { ws_link_ended(link_of(bytes), status); }

static void written(ByteStream *bytes, int status) { ws_link_written(link_of(bytes), status); }

/* The stream is given back before it is closed. */
static void closed(ByteStream *bytes) { (void)bytes; }

static const ByteStreamUser user = {
    .room = room, .came = came, .ended = ended, .written = written, .closed = closed};

static void give_back(WsLink *link) {
  StreamSocket *socket = link->owner;
  socket->on_close = NULL;
  socket->on_close_data = NULL;
  stream_socket_lend(socket, NULL);
}

static void released(WsLink *link, bool reset) {
  StreamSocket *socket = link->owner;
  give_back(link);
  if (reset) stream_cut(&socket->stream);
  stream_release(&socket->stream);
  ws_link_drop(link);
}

/* The stream is being closed with the runtime. */
static void cut(void *data) {
  WsLink *link = data;
  StreamSocket *socket = link->owner;
  give_back(link);
  ws_link_cut(link);
  ws_link_drop(link);
  stream_release(&socket->stream);
}

static void hold(WsLink *link, bool held) {
  StreamSocket *socket = link->owner;
  if (held)
    stream_hold(&socket->stream);
  else
    stream_let_go(&socket->stream);
}

static const WsCarrier carrier = {.released = released, .hold = hold};

/* What has come behind the handshake. */
static bool take_early(StreamSocket *socket, Buffer *early) {
  Stream *s = &socket->stream;
  return buffer_add(early, s->in.data + s->at, stream_unread(s));
}

WsLink *ws_client_new(StreamSocket *socket, const WsOptions *options) {
  Stream *s = &socket->stream;
  Buffer early = {0};
  int status = s->is_closed ? UV_ECANCELED : s->ended;
  WsLink *link = NULL;
  if (!stream_unread(s) || take_early(socket, &early))
    link = ws_link_new(s->all->rt, &socket->bytes, &carrier, socket, options);
  if (!link) {
    buffer_free(&early);
    stream_release(s);
    return NULL;
  }
  if (!s->is_closed) stream_forget(s);
  socket->on_close = cut;
  socket->on_close_data = link;
  stream_socket_lend(socket, &user);
  if (early.len) ws_link_came(link, early.data, early.len);
  buffer_free(&early);
  if (status) {
    ws_link_ended(link, status);
  } else if (!link->is_paused && !ws_link_is_over(link)) {
    byte_stream_resume(&socket->bytes);
  }
  return link;
}
