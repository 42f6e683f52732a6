/* Feeds bytes to what reads the messages of other processes: the frames between workers, and the
   hub that gives them to its members. Frames read in pieces are those read whole; what a member
   gets lies inside of what came; and what a hub passes on is what another takes. */
#include "base/buffer.h"
#include "fuzz.h"
#include "hub/hub.h"
#include "serve/channel_frames.h"

#include <stdint.h>
#include <stdlib.h>

static const char *from;
static size_t length, got;
static Buffer forwarded;

static bool take(void *receiver, HubMessage *message, size_t max_backlog) {
  (void)receiver;
  (void)max_backlog;
  check(message->n == 0 ||
        (message->bytes >= from && message->bytes + message->n <= from + length));
  got++;
  return message->n != 3; /* such a one is too much for it */
}

static void drop(void *receiver) { hub_leave_all(NULL, receiver); }

static const HubReceiverType type = {.take = take, .drop = drop};

static void forward(Hubs *hubs, Hub *hub, const struct iovec parts[HUB_PARTS]) {
  (void)hubs;
  (void)hub;
  forwarded.len = 0;
  for (int i = 0; i < HUB_PARTS; i++)
    check(buffer_add(&forwarded, parts[i].iov_base, parts[i].iov_len));
}

/* One message, as it came from another process. */
static void deliver(const char *bytes, size_t n) {
  Hubs hubs = {.forward = forward}, others = {0};
  HubMember *members = NULL, *more = NULL;
  Hub *hub = hub_new(&hubs, "h", 1, 10), *other = hub_new(&others, "h", 1, 10);
  check(hub && other && hub_join(hub, "t", 1, &members, &type, &members));
  from = bytes;
  length = n;
  got = 0;
  if (hub_came(&hubs, bytes, n)) check(got <= 1);
  /* As a topic and a message of our own. */
  size_t len = n < 300 ? n : 300;
  HubMessage message = {.bytes = bytes, .n = n, .is_text = n & 1};
  if (len) {
    check(hub_join(other, bytes, len, &more, &type, &more) && hub_count(other, bytes, len) == 1);
    hub_publish(hub, bytes, len, &message, NULL);
    from = forwarded.data;
    length = forwarded.len;
    got = 0;
    check(hub_came(&others, forwarded.data, forwarded.len) && got == 1);
  }
  hub_close_all(&hubs);
  hub_close_all(&others);
  check(!members && !more);
}

/* Returns how many messages there are, and their bytes. */
static size_t count(const char *bytes, size_t n, size_t *sum) {
  size_t whole, left, len, messages = 0;
  if (!channel_frames_whole(bytes, n, &whole)) return 0;
  check(whole <= n);
  const char *at = bytes, *message;
  for (left = whole; (message = channel_frames_next(&at, &left, &len)); messages++) {
    check(message >= bytes && message + len <= bytes + whole);
    *sum += len;
  }
  check(left == 0 && at == bytes + whole);
  return messages;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const char *bytes = (const char *)data;
  size_t sum = 0, again = 0, whole = 0, piece_whole;
  size_t messages = count(bytes, size, &sum);
  if (size && channel_frames_whole(bytes, size, &whole) &&
      channel_frames_whole(bytes, size / 2, &piece_whole)) {
    size_t first = count(bytes, piece_whole, &again);
    check(first + count(bytes + piece_whole, size - piece_whole, &again) == messages);
    check(again == sum);
  }
  if (size) deliver(bytes, size);
  return 0;
}
