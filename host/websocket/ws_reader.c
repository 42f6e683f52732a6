#include "websocket/ws_reader.h"

#include <stdlib.h>
#include <string.h>

/* How much longer than the most that it may hold a compressed message can be: what does not get
   smaller is stored, with a few bytes for each piece. */
#define STORED_MORE(max) ((max) / 8 + 1024)

static WsEvent fail(WsReader *r, unsigned code, const char *why) {
  r->code = code;
  r->why = why;
  return WS_EVENT_FAILED;
}

static WsEvent fail_memory(WsReader *r) { return fail(r, WS_CODE_INTERNAL, "out of memory"); }

/* Makes room for `n` more bytes: for exactly these if that is all of it. */
static bool make_room(WsInbound **place, size_t n, bool is_all) {
  WsInbound *m = *place;
  size_t len = m ? m->len : 0, need = len + n;
  if (m && m->cap - len >= n) return true;
  size_t cap = is_all || need > 2 * len ? need : 2 * len;
  m = realloc(m, sizeof *m + cap);
  if (!m) return false;
  if (!*place) *m = (WsInbound){0};
  m->cap = cap;
  *place = m;
  return true;
}

static bool is_control(unsigned opcode) { return opcode & 8; }

/* Why a frame with this head cannot come here; or NULL. Section 5.5: control frames are short, and
   in one piece. */
static const char *refuse_control(const WsHead *head) {
  if (head->opcode > WS_PONG) return "an opcode that is not in use";
  if (head->reserved) return "a reserved bit in a control frame";
  if (!head->is_final) return "a control frame in fragments";
  return head->len > WS_CONTROL_MAX ? "a control frame of more than 125 bytes" : NULL;
}

static const char *refuse_data(const WsReader *r, const WsHead *head) {
  bool begins = head->opcode != WS_CONTINUATION;
  if (head->opcode > WS_BINARY) return "an opcode that is not in use";
  if (head->reserved & 3) return "a reserved bit";
  if (head->reserved && !(begins && r->may_deflate)) return "a reserved bit";
  if (begins && r->message) return "a new message before the end of a fragmented one";
  return begins || r->message ? NULL : "a fragment without a beginning";
}

static bool is_too_big(const WsReader *r, const WsHead *head) {
  size_t most = r->max_message, len = r->message ? r->message->len : 0;
  if (r->message ? r->message->is_deflated : head->reserved != 0)
    most = most > SIZE_MAX / 2 ? most : most + STORED_MORE(most);
  return head->len > most || len > most - head->len;
}

/* `here`: bytes that have come behind the head. */
static WsEvent begin(WsReader *r, const WsHead *head, size_t here) {
  const char *why = is_control(head->opcode) ? refuse_control(head) : refuse_data(r, head);
  if (why) return fail(r, WS_CODE_PROTOCOL, why);
  if (head->is_masked != r->wants_mask)
    return fail(r, WS_CODE_PROTOCOL,
                r->wants_mask ? "a frame that is not masked" : "a frame that is masked");
  if (!is_control(head->opcode)) {
    if (is_too_big(r, head)) return fail(r, WS_CODE_TOO_BIG, "a message that is too big");
    if (head->opcode != WS_CONTINUATION) {
      if (!make_room(&r->message, head->len < here ? (size_t)head->len : here, true))
        return fail_memory(r);
      r->message->opcode = head->opcode;
      r->message->is_deflated = head->reserved;
      r->text = (Utf8Check){0};
    }
  }
  r->opcode = head->opcode;
  r->is_final = head->is_final;
  r->left = head->len;
  r->at = 0;
  memcpy(r->key, head->key, 4);
  r->in_frame = true;
  return WS_EVENT_NONE;
}

/* Reads a head, or as much of it as there is. */
static WsEvent read_head(WsReader *r, char **bytes, size_t *n) {
  WsHead head = {0};
  const char *from = *bytes;
  size_t have = *n, kept = r->head_len;
  if (kept) {
    size_t more = WS_HEAD_MAX - kept < *n ? WS_HEAD_MAX - kept : *n;
    memcpy(r->head + kept, *bytes, more);
    from = r->head;
    have = kept + more;
  }
  int is_read = ws_frame_read_head(from, have, &head);
  if (is_read < 0)
    return fail(r, WS_CODE_PROTOCOL, "a length that is not in its shortest form, or above 2^63");
  if (!is_read) {
    if (!kept) memcpy(r->head, *bytes, *n);
    r->head_len = (uint8_t)have;
    *bytes += *n;
    *n = 0;
    return WS_EVENT_NONE;
  }
  r->head_len = 0;
  *bytes += head.size - kept;
  *n -= head.size - kept;
  return begin(r, &head, *n);
}

/* A frame that leads nowhere has come. */
static WsEvent make_noise(WsReader *r, WsEvent event) {
  if (++r->noise <= WS_NOISE_MOST) return event;
  return fail(r, WS_CODE_POLICY, "too many frames that lead nowhere");
}

static void make_good(WsReader *r) {
  r->noise = r->noise > WS_NOISE_WORTH ? r->noise - WS_NOISE_WORTH : 0;
}

/* The frame's next bytes, of a message. */
static WsEvent add_data(WsReader *r, char *bytes, size_t n) {
  if (!make_room(&r->message, n, r->is_final && n == r->left)) return fail_memory(r);
  WsInbound *m = r->message;
  char *to = m->bytes + m->len;
  if (r->wants_mask)
    ws_frame_mask(to, bytes, n, r->key, r->at);
  else if (n)
    memcpy(to, bytes, n);
  m->len += n;
  r->left -= n;
  r->at += n;
  bool ends = !r->left && r->is_final;
  if (m->opcode == WS_TEXT && !m->is_deflated &&
      (!utf8_check_more(&r->text, to, n) || (ends && !utf8_check_is_whole(&r->text))))
    return fail(r, WS_CODE_BAD_DATA, "a text that is not UTF-8");
  if (!r->left) r->in_frame = false;
  if (!ends) return r->at ? WS_EVENT_NONE : make_noise(r, WS_EVENT_NONE);
  make_good(r);
  return WS_EVENT_MESSAGE;
}

/* The same, of a control frame: it stays where it is if it is complete. */
static WsEvent add_control(WsReader *r, char *bytes, size_t n) {
  if (r->wants_mask) ws_frame_mask(bytes, bytes, n, r->key, r->at);
  bool is_whole = !r->at && n == r->left;
  r->control = bytes;
  r->control_len = (uint8_t)n;
  r->left -= n;
  r->at += n;
  if (!is_whole) {
    if (!make_room(&r->partial, n, false)) return fail_memory(r);
    if (n) memcpy(r->partial->bytes + r->partial->len, bytes, n);
    r->partial->len += n;
    if (r->left) return WS_EVENT_NONE;
    r->control = r->partial->bytes;
    r->control_len = (uint8_t)r->partial->len;
  }
  r->in_frame = false;
  return make_noise(r, WS_EVENT_CONTROL);
}

WsEvent ws_reader_next(WsReader *r, char **bytes, size_t *n) {
  WsEvent event = WS_EVENT_NONE;
  if (r->partial && !r->in_frame) { /* the last event's */
    free(r->partial);
    r->partial = NULL;
  }
  for (;;) {
    if (!r->in_frame) {
      if (!*n) return WS_EVENT_NONE;
      event = read_head(r, bytes, n);
      if (event != WS_EVENT_NONE || !r->in_frame) return event;
    }
    if (!*n && r->left) return WS_EVENT_NONE;
    size_t piece = *n < r->left ? *n : (size_t)r->left;
    char *p = *bytes;
    *bytes += piece;
    *n -= piece;
    event = is_control(r->opcode) ? add_control(r, p, piece) : add_data(r, p, piece);
    if (event != WS_EVENT_NONE) return event;
  }
}

WsInbound *ws_reader_take(WsReader *r) {
  WsInbound *m = r->message;
  r->message = NULL;
  return m;
}

void ws_reader_free(WsReader *r) {
  free(r->message);
  free(r->partial);
  r->message = r->partial = NULL;
  r->in_frame = false;
}

unsigned ws_reader_close_code(const char *payload, size_t n, unsigned *code, const char **why) {
  if (!n) return WS_CODE_NONE;
  *code = WS_CODE_PROTOCOL;
  *why = "a Close frame of one byte";
  if (n == 1) return 0;
  unsigned given = (unsigned)(unsigned char)payload[0] << 8 | (unsigned char)payload[1];
  *why = "a code that must not be in a Close frame";
  if (!ws_frame_code_is_valid(given)) return 0;
  *code = WS_CODE_BAD_DATA;
  *why = "a reason that is not UTF-8";
  return utf8_is_well_formed(payload + 2, n - 2) ? given : 0;
}
