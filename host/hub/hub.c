#include "hub/hub.h"

#include "base/word.h"
#include "websocket/ws_message.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum { FIRST_BUCKETS = 16, FIRST_MEMBERS = 4 };

/* --- the hubs --- */

Hub *hub_find(const Hubs *hubs, const char *name, size_t n) {
  Hub *hub = hubs->first;
  while (hub && (hub->name_len != n || memcmp(hub->name, name, n) != 0)) hub = hub->next;
  return hub;
}

Hub *hub_new(Hubs *hubs, const char *name, size_t n, size_t max_backlog) {
  if (!hubs->first && getrandom(&hubs->seed, sizeof hubs->seed, 0) < 0) hubs->seed = 1;
  Hub *hub = calloc(1, sizeof *hub + n);
  HubTopic **buckets = calloc(FIRST_BUCKETS, sizeof *buckets);
  if (!hub || !buckets) {
    free(hub);
    free(buckets);
    return NULL;
  }
  *hub = (Hub){.next = hubs->first,
               .hubs = hubs,
               .max_backlog = max_backlog,
               .n_buckets = FIRST_BUCKETS,
               .buckets = buckets,
               .name_len = n};
  memcpy(hub->name, name, n);
  return hubs->first = hub;
}

/* --- topics --- */

/* Names may be what clients choose: with a seed, none can be chosen to collide. */
static uint64_t hash_of(const Hub *hub, const char *name, size_t n) {
  uint64_t h = hub->hubs->seed ^ n * UINT64_C(0x9e3779b97f4a7c15);
  char rest[8] = {0};
  for (; n >= 8; name += 8, n -= 8) {
    h = (h ^ word_load(name)) * UINT64_C(0xff51afd7ed558ccd);
    h ^= h >> 32;
  }
  memcpy(rest, name, n);
  h = (h ^ word_load(rest)) * UINT64_C(0xff51afd7ed558ccd);
  h ^= h >> 29;
  return h * UINT64_C(0xc4ceb9fe1a85ec53) ^ h >> 32;
}

static HubTopic **place_of(const Hub *hub, uint64_t hash, const char *name, size_t n) {
  HubTopic **place = &hub->buckets[hash & (hub->n_buckets - 1)];
  while (*place &&
         ((*place)->hash != hash || (*place)->len != n || memcmp((*place)->name, name, n) != 0))
    place = &(*place)->next;
  return place;
}

static HubTopic *find_topic(const Hub *hub, const char *name, size_t n) {
  return *place_of(hub, hash_of(hub, name, n), name, n);
}

/* More buckets, where memory allows. */
static void grow(Hub *hub) {
  size_t n = hub->n_buckets * 2;
  HubTopic **buckets = calloc(n, sizeof *buckets);
  if (!buckets) return;
  for (size_t i = 0; i < hub->n_buckets; i++)
    for (HubTopic *topic = hub->buckets[i], *next; topic; topic = next) {
      next = topic->next;
      topic->next = buckets[topic->hash & (n - 1)];
      buckets[topic->hash & (n - 1)] = topic;
    }
  free(hub->buckets);
  hub->buckets = buckets;
  hub->n_buckets = n;
}

static HubTopic *make_topic(Hub *hub, const char *name, size_t n) {
  uint64_t hash = hash_of(hub, name, n);
  HubTopic *topic = *place_of(hub, hash, name, n);
  if (topic) return topic;
  topic = malloc(sizeof *topic + n);
  if (!topic) return NULL;
  if (hub->n_topics >= hub->n_buckets) grow(hub);
  HubTopic **bucket = &hub->buckets[hash & (hub->n_buckets - 1)];
  *topic = (HubTopic){.next = *bucket, .hub = hub, .hash = hash, .len = n};
  memcpy(topic->name, name, n);
  *bucket = topic;
  hub->n_topics++;
  return topic;
}

/* Frees it if nobody needs it any more. */
static void drop_topic(HubTopic *topic) {
  if (topic->n || topic->busy) return;
  Hub *hub = topic->hub;
  *place_of(hub, topic->hash, topic->name, topic->len) = topic->next;
  hub->n_topics--;
  free(topic->members);
  free(topic);
}

/* --- memberships --- */

static bool make_room(HubTopic *topic, uint32_t room) {
  HubMember **members = realloc(topic->members, room * sizeof(HubMember *));
  if (!members) return false;
  topic->members = members;
  topic->room = room;
  return true;
}

static HubMember *find_member(const HubTopic *topic, HubMember *const *members) {
  HubMember *m = *members;
  while (m && m->topic != topic) m = m->next;
  return m;
}

bool hub_join(Hub *hub, const char *name, size_t n, HubMember **members,
              const HubReceiverType *type, void *receiver) {
  HubTopic *topic = make_topic(hub, name, n);
  if (!topic) return false;
  if (find_member(topic, members)) return true;
  HubMember *m = malloc(sizeof *m);
  if (!m || (topic->n == topic->room &&
             !make_room(topic, topic->room ? topic->room * 2 : FIRST_MEMBERS))) {
    free(m);
    drop_topic(topic);
    return false;
  }
  *m = (HubMember){.next = *members,
                   .link = members,
                   .topic = topic,
                   .at = topic->n,
                   .type = type,
                   .receiver = receiver};
  if (m->next) m->next->link = &m->next;
  *members = m;
  topic->members[topic->n++] = m;
  hub->members++;
  return true;
}

/* The last one takes its place: whoever walks the list walks it backwards. */
static void remove_member(HubMember *m) {
  HubTopic *topic = m->topic;
  Hub *hub = topic->hub;
  HubMember *last = topic->members[--topic->n];
  topic->members[m->at] = last;
  last->at = m->at;
  *m->link = m->next;
  if (m->next) m->next->link = m->link;
  free(m);
  if (topic->room > 4 * FIRST_MEMBERS && topic->n < topic->room / 4)
    make_room(topic, topic->room / 2);
  drop_topic(topic);
  if (--hub->members == 0 && hub->hubs->emptied) hub->hubs->emptied(hub);
}

bool hub_leave(Hub *hub, const char *name, size_t n, HubMember *const *members) {
  HubTopic *topic = find_topic(hub, name, n);
  HubMember *m = topic ? find_member(topic, members) : NULL;
  if (m) remove_member(m);
  return m;
}

void hub_leave_all(const Hub *hub, HubMember **members) {
  for (HubMember *m = *members, *next; m; m = next) {
    next = m->next;
    if (!hub || m->topic->hub == hub) remove_member(m);
  }
}

size_t hub_count(const Hub *hub, const char *name, size_t n) {
  const HubTopic *topic = find_topic(hub, name, n);
  return topic ? topic->n : 0;
}

void hub_close_all(Hubs *hubs) {
  for (Hub *hub; (hub = hubs->first);) {
    hubs->first = hub->next;
    for (size_t i = 0; i < hub->n_buckets; i++)
      while (hub->buckets[i]) remove_member(hub->buckets[i]->members[0]);
    free(hub->buckets);
    free(hub);
  }
}

/* --- messages --- */

/* Those that are behind are dropped when all others have theirs. */
static void drop_slow(HubTopic *topic) {
  for (uint32_t i = topic->n; i-- > 0;) {
    HubMember *m = topic->members[i];
    if (!m->is_behind) continue;
    m->is_behind = false;
    m->type->drop(m->receiver);
  }
}

static void deliver(HubTopic *topic, HubMessage *message, const void *except) {
  bool any_behind = false;
  size_t max_backlog = topic->hub->max_backlog;
  topic->busy++;
  for (uint32_t i = topic->n; i-- > 0;) {
    HubMember *m = topic->members[i];
    if (m->receiver == except || m->type->take(m->receiver, message, max_backlog)) continue;
    m->is_behind = any_behind = true;
  }
  if (any_behind) drop_slow(topic);
  topic->busy--;
  if (message->encoded) ws_message_release(message->encoded);
  drop_topic(topic);
}

/* A message between processes: 1 if it is text, else 0; the length of the hub's name, a byte, and
   of the topic, two, the low one first; the name, the topic, the bytes. */
void hub_publish(Hub *hub, const char *name, size_t n, HubMessage *message, const void *except) {
  HubTopic *topic = find_topic(hub, name, n);
  if (topic) deliver(topic, message, except);
  if (!hub->hubs->forward) return;
  char head[HUB_HEAD_MAX] = {(char)message->is_text, (char)hub->name_len, (char)(n & 0xff),
                             (char)(n >> 8)};
  memcpy(head + 4, hub->name, hub->name_len);
  const struct iovec parts[HUB_PARTS] = {{head, 4 + hub->name_len},
                                         {(char *)(uintptr_t)name, n},
                                         {(char *)(uintptr_t)message->bytes, message->n}};
  hub->hubs->forward(hub->hubs, hub, parts);
}

bool hub_came(Hubs *hubs, const char *bytes, size_t n) {
  if (n < 4) return false;
  size_t name_len = (unsigned char)bytes[1];
  size_t len = (unsigned char)bytes[2] | (size_t)(unsigned char)bytes[3] << 8;
  if ((unsigned char)bytes[0] > 1 || !len || n - 4 < name_len + len) return false;
  const char *name = bytes + 4, *topic_name = name + name_len;
  const Hub *hub = hub_find(hubs, name, name_len);
  HubTopic *topic = hub ? find_topic(hub, topic_name, len) : NULL;
  HubMessage message = {
      .bytes = topic_name + len, .n = n - 4 - name_len - len, .is_text = bytes[0]};
  if (topic) deliver(topic, &message, NULL);
  return true;
}
