/* One WebSocket (RFC 6455) over a byte stream, of either side: messages that have come and wait for
   a receiver, frames that wait to be sent, pings, the closing handshake and its limit.

   It has two owners, each of which drops it once: the Lua object (bindings/websocket), and the
   carrier, which owns the byte stream: a connection of the server, or the client's socket.

   An idle link has no buffers: what comes is read into room that all share, and what is sent leaves
   at the end of the pass. Belongs to one runtime and its thread. Nothing here enters Lua. */
#ifndef ML_WS_LINK_H
#define ML_WS_LINK_H

#include "core/waiters.h"
#include "net/byte_stream.h"
#include "websocket/ws_message.h"
#include "websocket/ws_reader.h"
#include "websocket/ws_shared.h"

typedef struct WsLink WsLink;

/* Who owns the byte stream. Called from the loop and by tasks. */
typedef struct WsCarrier {
  /* The link is over and makes no use of the byte stream any more: the carrier closes it (`reset`:
     not in order), and drops the link (ws_link_drop), now or later. ws_link_was_lost says whether
     the peer has vanished. Called once. */
  void (*released)(WsLink *link, bool reset);
  /* Optional. A task begins or stops waiting for the link: whether it keeps the loop alive. */
  void (*hold)(WsLink *link, bool held);
  /* Optional. The task `reader` was told of the end. */
  void (*told)(WsLink *link);
  /* Optional. The link keeps that many bytes of messages more, or less, of both directions. False:
     all links together keep more than they may. */
  bool (*keeps)(WsLink *link, ptrdiff_t more);
} WsCarrier;

typedef struct WsOptions {
  bool is_server;       /* our side */
  size_t max_message;   /* bytes, of what it holds if it is compressed */
  double ping;          /* seconds of silence before a ping; HUGE_VAL: none */
  double close_timeout; /* seconds for the closing handshake */
  WsDeflate deflate;    /* what was agreed on */
} WsOptions;

#define WS_MAX_MESSAGE (1024 * 1024)
#define WS_PING_SECONDS 30.0
#define WS_CLOSE_SECONDS 5.0
#define WS_HIGH_WATER (64 * 1024) /* bytes to send at which senders wait */
#define WS_LOW_WATER (16 * 1024)  /* and at which they go on */

/* How a link is about to end, or has. */
typedef enum WsPhase {
  WS_OPEN,
  WS_CLOSING,   /* our Close frame is on its way, the peer's is awaited */
  WS_ANSWERING, /* both are known: it ends when ours is sent */
  WS_FAILING,   /* the peer has broken the rules: it was told, and nothing is read any more */
  WS_OVER,
} WsPhase;

struct WsLink {
  WsShared *shared;
  ByteStream *bytes;
  const WsCarrier *carrier;
  void *owner; /* the carrier's */
  uint8_t phase, refs;
  bool is_paused;
  bool is_pinged; /* a ping is unanswered */
  bool was_lost;
  bool is_queued; /* among those that send at the end of the pass */
  bool is_shut;
  bool is_ending;   /* the peer has said Close (`farewell`), or broken a rule, behind messages that
                       nobody has received yet */
  bool reader_told; /* it was told of the end */
  float ping, close_timeout;
  WsDeflate deflate;
  WsDeflater *deflater; /* its own, with takeover; or NULL */
  Timer timer;          /* the next ping, or the limit of the end */
  uint64_t heard_at;    /* when something last came */
  uint64_t forgiven_at; /* when some of its frames that lead nowhere were forgiven */

  WsReader in;
  WsInbound *first, *last; /* complete messages nobody has received */
  size_t inbound;          /* bytes of these */
  size_t kept;             /* what the carrier was last told that it keeps */
  WsInbound *farewell;     /* the payload of a Close frame */
  WsInbound *owed;         /* that of the last ping, which is answered when there is room */
  Task *receiver;          /* the task that receives, from its first wait to its end; or NULL */
  Waker waiting;           /* the same while it waits */
  uint64_t reader;         /* the id of the task that has received last; or 0 */

  Buffer out;         /* frames to be sent, behind what is being written */
  WsMessage *pending; /* a hub's message, alone: to be sent at the end of the pass. Or NULL */
  WsLink *next;
  Waiters line;  /* tasks that wait for room, or for the end */
  uint32_t held; /* tasks that wait for anything */

  unsigned code; /* of the end, as the receiver is told; 0: it is not known yet */
  char *reason;  /* of the peer's Close frame, or what it did wrong; or NULL */
  size_t reason_len;

  /* the hubs' */
  struct HubMember *members;
  void (*left)(WsLink *link); /* nothing can be sent any more; or NULL */
};

/* --- life --- */

/* Makes a link over an open byte stream, with two references: the carrier's and the caller's. NULL
   if memory is out. The carrier then passes on what its byte stream says, and whatever bytes have
   come behind the handshake. */
WsLink *ws_link_new(Runtime *rt, ByteStream *bytes, const WsCarrier *carrier, void *owner,
                    const WsOptions *options);
void ws_link_drop(WsLink *link);

/* --- for the carrier: what the byte stream says --- */

uv_buf_t ws_link_room(WsLink *link);
/* `bytes` are in that room or elsewhere, and may be changed. */
void ws_link_came(WsLink *link, char *bytes, size_t n);
void ws_link_ended(WsLink *link, int status);
void ws_link_written(WsLink *link, int status);
/* The byte stream is being closed by somebody else: `released` is not called. */
void ws_link_cut(WsLink *link);

/* --- receiving --- */

/* The first message, until ws_link_received; compressed ones are made whole here. False: there is
   none (yet, or any more: ws_link_has_ended). */
typedef struct WsView {
  const char *bytes;
  size_t len;
  bool is_text;
} WsView;
bool ws_link_peek(WsLink *link, WsView *view);
void ws_link_received(WsLink *link);

/* Nothing more will be received: `code` and `reason` say why. */
static inline bool ws_link_has_ended(const WsLink *link) { return link->code != 0 && !link->first; }

/* The receiver was told of that. */
void ws_link_was_told(WsLink *link);

void ws_link_receive_begins(WsLink *link, Waker waker);
void ws_link_receive_ends(WsLink *link);

/* --- sending --- */

/* Can something be sent? */
static inline bool ws_link_is_open(const WsLink *link) { return link->phase == WS_OPEN; }

/* Queues a message, which leaves at the end of the pass at the latest. Returns 0, UV_EPIPE (it is
   not open) or UV_ENOMEM. */
int ws_link_send(WsLink *link, bool is_text, const char *bytes, size_t n);

/* Sends now what waits for the end of the pass. */
void ws_link_flush(WsLink *link);

/* Bytes that wait to be sent. */
size_t ws_link_queued(const WsLink *link);

/* Is so much queued that who sends should wait? Sends what can be sent. */
bool ws_link_is_behind(WsLink *link);

/* A task stands in line for room, or for the end; it leaves before it was woken; it was woken. */
void ws_link_wait_begins(WsLink *link, Task *t);
void ws_link_wait_leaves(WsLink *link, Task *t);
void ws_link_wait_ends(WsLink *link);

int ws_link_ping(WsLink *link);

/* Sends a Close frame; the rest of the handshake goes on by itself, at most for close_timeout. Does
   nothing if one was sent. `code` 0: none. */
void ws_link_close(WsLink *link, unsigned code, const char *reason, size_t n);

/* The server stops (WS_CODE_GOING_AWAY) or begins anew (WS_CODE_RESTART). */
static inline void ws_link_retire(WsLink *link, unsigned code) { ws_link_close(link, code, "", 0); }

/* Ends it at once, without a handshake. */
void ws_link_abort(WsLink *link);

static inline bool ws_link_is_over(const WsLink *link) { return link->phase == WS_OVER; }

/* It has ended without a Close frame of the peer's. */
static inline bool ws_link_was_lost(const WsLink *link) { return link->was_lost; }

/* --- for hubs --- */

/* Queues a message of a hub behind what waits. As ws_link_send, but its frames are made once,
   and not copied for a link with nothing else to send. */
int ws_link_send_message(WsLink *link, WsMessage *message);

/* The bytes that it would send, if these are the same for all: not if they are masked, or if the
   link's compression knows what was sent before. */
bool ws_link_frame(const WsLink *link, WsMessage *message, const char **bytes, size_t *n);

/* Do all links together keep more than they may, and this one has a part in that? */
static inline bool ws_link_is_crowded(WsLink *link) {
  return link->kept && !link->carrier->keeps(link, 0);
}

/* --- among the files of ws_link --- */

/* What the link keeps may have changed: tells the carrier. */
void ws_link_note(WsLink *link);

/* Queues a frame. */
int ws_link_queue_frame(WsLink *link, unsigned first, const char *bytes, size_t n);
void ws_link_flush_all(PassHook *hook, Runtime *rt);
void ws_link_free_batch(struct WsBatch *batch);

/* What is to be sent first; false if there is nothing. The socket has taken `sent` bytes of it, or
   that is a libuv error: the rest follows when it takes more. */
bool ws_link_next_bytes(const WsLink *link, const char **bytes, size_t *n);
void ws_link_has_sent(WsLink *link, ssize_t sent);
void ws_link_forget_pending(WsLink *link);

/* Answers a ping: at once, unless much waits to be sent. Then only the last one is answered (RFC
   6455 section 5.5.3), so that who pings and does not read fills no memory. */
void ws_link_pong(WsLink *link, const char *payload, size_t n);

/* There is nothing left to send: what this was waited for. */
void ws_link_sent(WsLink *link);
bool ws_link_is_sending(const WsLink *link);

/* The peer has sent a Close frame; has broken a rule; has vanished. */
void ws_link_peer_closes(WsLink *link, const char *payload, size_t n);
void ws_link_fail(WsLink *link, unsigned code, const char *why);
void ws_link_lose(WsLink *link, const char *why, bool reset);

/* The same, when the messages before that are received: what they ask for can still be answered. At
   most close_timeout later. */
void ws_link_end_later(WsLink *link, WsInbound *farewell);
void ws_link_end_now(WsLink *link);

/* Sets the timer for the next ping. */
void ws_link_arm(WsLink *link);

/* Wakes the receiver if there is news. */
void ws_link_tell(WsLink *link);

#endif
