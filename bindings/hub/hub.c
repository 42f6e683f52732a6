/* moonloop.hub.core: topics and who gets what is published under them. Options are checked, and
   Redis is asked, in scripts/moonloop/hub. */
#include "hub/hub.h"

#include "base/utf8.h"
#include "bindings/check.h"
#include "bindings/class.h"
#include "bindings/hub/mailbox.h"
#include "bindings/hub/open.h"
#include "bindings/websocket/ws_object.h"
#include "core/script_place.h"
#include "core/task.h"
#include "core/wait.h"
#include "hub/hub_socket.h"
#include "serve/channel_frames.h"
#include "serve/supervised.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#define HUB "moonloop.hub"

/* Of a runtime: a userdata in the registry. */
typedef struct Part {
  Hubs hubs;
  SupervisedChannel *channel;       /* to the other workers of the server, or NULL */
  unsigned char group[CHILD_GROUP]; /* tells the processes that it leads to from others */
} Part;

/* A hub, kept in the registry for good. */
typedef struct Box {
  Hub *hub;
  Part *part;
  Waiters idle; /* tasks that wait until it has no members */
} Box;

static Box *check(lua_State *L) { return luaL_checkudata(L, 1, HUB); }

/* --- the part --- */

static char part_key;

static void forward(Hubs *hubs, Hub *hub, const struct iovec parts[HUB_PARTS]) {
  (void)hub;
  supervised_channel_send(((Part *)hubs->data)->channel, parts, HUB_PARTS);
}

static void on_message(void *data, const char *bytes, size_t n) {
  hub_came(&((Part *)data)->hubs, bytes, n);
}

static void on_empty(Hub *hub) { waiters_wake_all(&((Box *)hub->data)->idle); }

static int l_part_gc(lua_State *L) {
  Part *part = lua_touserdata(L, 1);
  part->hubs.emptied = NULL; /* no task is left */
  hub_close_all(&part->hubs);
  return 0;
}

static Supervised *supervised_of(lua_State *L) {
  lua_getfield(L, LUA_REGISTRYINDEX, SUPERVISED_KEY);
  Supervised *supervised = lua_touserdata(L, -1);
  lua_pop(L, 1);
  return supervised;
}

/* A worker of a server gets, and is heard by, the others. */
static void open_channel(lua_State *L, Part *part) {
  Supervised *supervised = supervised_of(L);
  if (!supervised) {
    if (getrandom(part->group, sizeof part->group, 0) != sizeof part->group)
      luaL_error(L, "ml.web.hub: the system gives no random bytes: %s", strerror(errno));
    return;
  }
  memcpy(part->group, supervised->share.board->group, sizeof part->group);
  int rc = supervised_channel_open(&supervised->channel, runtime_of(L), on_message, part);
  if (rc) luaL_error(L, "ml.web.hub: cannot reach the other workers: %s", uv_strerror(rc));
  part->channel = &supervised->channel;
  part->hubs.forward = forward;
}

static Part *part_of(lua_State *L) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &part_key) == LUA_TNIL) {
    Part *part = lua_newuserdatauv(L, sizeof *part, 0);
    *part = (Part){.hubs = {.data = part, .emptied = on_empty}};
    class_set(L, "moonloop.hub.part", (luaL_Reg[]){{NULL, NULL}}, l_part_gc, NULL);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &part_key);
    open_channel(L, part);
    lua_replace(L, -2);
  }
  Part *part = lua_touserdata(L, -1);
  lua_pop(L, 1);
  return part;
}

/* new(name, max_backlog) -> hub: for a name that has none yet. */
static int l_new(lua_State *L) {
  size_t n;
  const char *name = luaL_checklstring(L, 1, &n);
  size_t max_backlog = (size_t)luaL_checkinteger(L, 2);
  Part *part = part_of(L);
  Box *box = lua_newuserdatauv(L, sizeof *box, 0);
  *box = (Box){.part = part};
  waiters_init(&box->idle);
  luaL_setmetatable(L, HUB);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, box);
  box->hub = hub_new(&part->hubs, name, n, max_backlog);
  if (!box->hub) return luaL_error(L, "not enough memory for a hub");
  box->hub->data = box;
  return 1;
}

/* --- joining --- */

typedef struct Receiver {
  HubMember **members;
  const HubReceiverType *type;
  void *self; /* NULL: it is over */
} Receiver;

static bool read_receiver(lua_State *L, int index, Receiver *r) {
  HubMailbox *mailbox = mailbox_test(L, index);
  if (mailbox) {
    *r = (Receiver){&mailbox->members, &hub_mailbox_type, mailbox->is_over ? NULL : mailbox};
    return true;
  }
  WsLink *link = ws_object_test(L, index);
  if (!link) return false;
  HubMember **members = hub_socket_members(link);
  *r = (Receiver){members, &hub_socket_type, members ? link : NULL};
  return true;
}

/* The methods of scripts are those of Lua that call these functions, whose first argument is the
 * hub. */
static int bad_argument(lua_State *L, int index, const char *method, const char *message) {
  return script_place_error(L, "bad argument #%d to 'hub:%s' (%s)", index - 1, method, message);
}

static int bad_type(lua_State *L, int index, const char *method, const char *expected) {
  return bad_argument(L, index, method,
                      lua_pushfstring(L, "%s expected, got %s", expected, luaL_typename(L, index)));
}

static Receiver check_receiver(lua_State *L, int index, const char *method) {
  Receiver r;
  if (!read_receiver(L, index, &r))
    bad_type(L, index, method, "WebSocket or `send` of ml.web.events");
  return r;
}

static const char *check_topic(lua_State *L, int index, const char *method, size_t *n) {
  if (lua_type(L, index) != LUA_TSTRING) bad_type(L, index, method, "string");
  const char *topic = lua_tolstring(L, index, n);
  if (!*n) bad_argument(L, index, method, "the topic is empty");
  if (*n > HUB_TOPIC_MAX) bad_argument(L, index, method, "the topic has more than 65535 bytes");
  return topic;
}

/* join(hub, receiver, topic): nothing happens where the receiver has ended. */
static int l_join(lua_State *L) {
  Box *box = check(L);
  Receiver r = check_receiver(L, 2, "join");
  size_t n;
  const char *topic = check_topic(L, 3, "join", &n);
  if (r.self && !hub_join(box->hub, topic, n, r.members, r.type, r.self))
    return luaL_error(L, "not enough memory for a member of a hub");
  return 0;
}

/* leave(hub, receiver [, topic]): without a topic, all of this hub. */
static int l_leave(lua_State *L) {
  Box *box = check(L);
  Receiver r = check_receiver(L, 2, "leave");
  size_t n;
  const char *topic = lua_isnoneornil(L, 3) ? NULL : check_topic(L, 3, "leave", &n);
  if (!r.self) return 0;
  if (topic)
    hub_leave(box->hub, topic, n, r.members);
  else
    hub_leave_all(box->hub, r.members);
  return 0;
}

/* count(hub, topic) -> members in this process */
static int l_count(lua_State *L) {
  Box *box = check(L);
  size_t n;
  const char *topic = check_topic(L, 2, "count", &n);
  lua_pushinteger(L, (lua_Integer)hub_count(box->hub, topic, n));
  return 1;
}

/* --- publishing --- */

/* A worker that publishes much waits until its supervisor has it. */
static void room_cancel(Task *t, void *op) {
  waiters_leave(&((SupervisedChannel *)op)->line, &t->waiter);
}

static int room_finish(lua_State *L, Task *t, void *op) {
  (void)L;
  (void)t;
  (void)op;
  return 0;
}

static const WaitType room_wait = {
    .name = "the supervisor, to take messages", .cancel = room_cancel, .finish = room_finish};

static int wait_for_room(lua_State *L, SupervisedChannel *channel, uint32_t cost) {
  bool is_full = channel && supervised_channel_queued(channel) >= SUPERVISED_CHANNEL_HIGH;
  if (!is_full || !wait_is_possible(L) || task_current(L)->cancel_pending)
    return wait_spared(L, 0, cost);
  Task *t = ml_wait_enter(L, "hub:publish");
  waiters_join(&channel->line, &t->waiter);
  return ml_wait_suspend(L, t, &room_wait, channel);
}

/* publish(hub, topic, message, is_text, except | nil): waits only for other processes of ours. */
static int l_publish(lua_State *L) {
  Box *box = check(L);
  Receiver except = {0};
  size_t n;
  const char *topic = check_topic(L, 2, "publish", &n);
  HubMessage message = {.is_text = lua_toboolean(L, 4)};
  check_type(L, 3, LUA_TSTRING);
  message.bytes = lua_tolstring(L, 3, &message.n);
  if (message.n + n + HUB_HEAD_MAX > CHANNEL_MESSAGE_MAX)
    bad_argument(L, 3, "publish", "the message has more than 64 MB");
  if (message.is_text && !utf8_is_well_formed(message.bytes, message.n))
    bad_argument(L, 3, "publish", "the message is not UTF-8 (kind \"binary\" takes any bytes)");
  if (!lua_isnoneornil(L, 5) && !read_receiver(L, 5, &except))
    script_place_error(L, "option 'except' of hub:publish is neither a WebSocket nor `send` of "
                          "ml.web.events");
  hub_publish(box->hub, topic, n, &message, except.self);
  return wait_for_room(L, box->part->channel, wait_cost(message.n));
}

/* came(hub, bytes): what another process has published, as it came by Redis. */
static int l_came(lua_State *L) {
  size_t n;
  Box *box = check(L);
  const char *bytes = luaL_checklstring(L, 2, &n);
  hub_came(&box->part->hubs, bytes, n);
  return 0;
}

/* group() -> 16 bytes that the processes have in common that get each other's messages without
 * Redis
 */
static int l_group(lua_State *L) {
  const Part *part = part_of(L);
  lua_pushlstring(L, (const char *)part->group, sizeof part->group);
  return 1;
}

/* --- tasks --- */

/* start(f, ...) -> task: of the host, and nobody's child. */
static int l_start(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  Task *t = task_spawn(L, runtime_of(L), NULL, lua_gettop(L) - 1);
  t->name = "ml.web.hub";
  t->is_host = true;
  return 1;
}

static void idle_cancel(Task *t, void *op) { waiters_leave(&((Box *)op)->idle, &t->waiter); }

static int idle_finish(lua_State *L, Task *t, void *op) {
  (void)L;
  (void)t;
  (void)op;
  return 0;
}

static const WaitType idle_wait = {
    .name = "a hub without members", .cancel = idle_cancel, .finish = idle_finish};

/* idle(hub): waits until nobody here is a member. */
static int l_idle(lua_State *L) {
  Box *box = check(L);
  if (!box->hub->members) return 0;
  Task *t = ml_wait_enter(L, "ml.web.hub");
  waiters_join(&box->idle, &t->waiter);
  return ml_wait_suspend(L, t, &idle_wait, box);
}

/* may_wait() -> boolean: can the caller be suspended? */
static int l_may_wait(lua_State *L) {
  lua_pushboolean(L, wait_is_possible(L) && !task_current(L)->cancel_pending);
  return 1;
}

/* members(hub) -> memberships here */
static int l_members(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)check(L)->hub->members);
  return 1;
}

int luaopen_moonloop_hub_core(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"new", l_new},         {"join", l_join},       {"leave", l_leave},       {"count", l_count},
      {"publish", l_publish}, {"came", l_came},       {"group", l_group},       {"start", l_start},
      {"idle", l_idle},       {"members", l_members}, {"may_wait", l_may_wait}, {NULL, NULL}};
  class_make(L, HUB, (luaL_Reg[]){{NULL, NULL}}, NULL, NULL);
  luaL_newlib(L, functions);
  return 1;
}
