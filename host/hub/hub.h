/* Topics, and who gets what is published under them: WebSockets, streams of events. Hubs of one
   name are one, in a runtime by this file, across processes by their owner, who passes on what
   `forward` is called with and brings what others have published (hub_came).

   A membership is a place in the list of its topic and one in the chain of its receiver, so that it
   is gone in no time wherever one of them ends; nothing is looked up by then. Nothing here enters
   Lua or waits. */
#ifndef ML_HUB_H
#define ML_HUB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define HUB_NAME_MAX 255                /* bytes */
#define HUB_TOPIC_MAX 65535             /* bytes */
#define HUB_PARTS 3                     /* pieces of a message as others get it */
#define HUB_HEAD_MAX (4 + HUB_NAME_MAX) /* bytes of the first */

/* What is published. */
typedef struct HubMessage {
  const char *bytes;
  size_t n;
  bool is_text;
  /* Its form for a kind of receivers, made by the first that needs it; its maker frees it. */
  struct WsMessage *encoded;
} HubMessage;

/* What may join. */
typedef struct HubReceiverType {
  /* Takes the message, or a part of it now and the rest later. False if `receiver` is behind by
     more than `max_backlog` bytes, the message counted: it is dropped then. May remove its own
     memberships if it returns true. */
  bool (*take)(void *receiver, HubMessage *message, size_t max_backlog);
  /* It is behind: ends it. May remove its own memberships. */
  void (*drop)(void *receiver);
} HubReceiverType;

/* A membership. */
typedef struct HubMember {
  struct HubMember *next, **link; /* the receiver's */
  struct HubTopic *topic;
  uint32_t at; /* its place among the topic's members */
  bool is_behind;
  const HubReceiverType *type;
  void *receiver;
} HubMember;

typedef struct HubTopic {
  struct HubTopic *next; /* in its bucket */
  struct Hub *hub;
  HubMember **members;
  uint32_t n, room;
  uint32_t busy; /* messages that are being delivered */
  uint64_t hash;
  size_t len;
  char name[];
} HubTopic;

typedef struct Hub {
  struct Hub *next;
  struct Hubs *hubs;
  size_t max_backlog; /* bytes */
  size_t members;     /* memberships of all topics */
  size_t n_topics, n_buckets;
  HubTopic **buckets;
  void *data; /* its owner's */
  size_t name_len;
  char name[];
} Hub;

/* All of a runtime. */
typedef struct Hubs {
  Hub *first;
  uint64_t seed;
  /* Passes on a message to the other processes, in pieces, as hub_came takes it there; or NULL. */
  void (*forward)(struct Hubs *hubs, Hub *hub, const struct iovec parts[HUB_PARTS]);
  void (*emptied)(Hub *hub); /* its last member has left; or NULL */
  void *data;                /* its owner's */
} Hubs;

/* Frees the hubs. Receivers that are left lose their memberships. */
void hub_close_all(Hubs *hubs);

/* The hub of that name, of up to HUB_NAME_MAX bytes; NULL if there is none yet. */
Hub *hub_find(const Hubs *hubs, const char *name, size_t n);

/* Makes it. NULL if memory is out. */
Hub *hub_new(Hubs *hubs, const char *name, size_t n, size_t max_backlog);

/* Lets `receiver`, whose chain is `*members`, join a topic of 1 to HUB_TOPIC_MAX bytes; nothing
   happens if it has. False if memory is out. */
bool hub_join(Hub *hub, const char *topic, size_t n, HubMember **members,
              const HubReceiverType *type, void *receiver);

/* Lets it leave the topic; false if it is no member. */
bool hub_leave(Hub *hub, const char *topic, size_t n, HubMember *const *members);

/* The same for all topics of the hub, or of all hubs if that is NULL. */
void hub_leave_all(const Hub *hub, HubMember **members);

/* How many of this process are members. */
size_t hub_count(const Hub *hub, const char *topic, size_t n);

/* Gives the message to all members, here and in other processes, except the receiver `except`
   (NULL: none). */
void hub_publish(Hub *hub, const char *topic, size_t n, HubMessage *message, const void *except);

/* Gives the members what another process has published: a message as `forward` got it there, in one
   piece, from a peer that may send anything. False if it is not of that form. */
bool hub_came(Hubs *hubs, const char *bytes, size_t n);

#endif
