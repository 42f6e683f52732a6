---@meta _
-- Types of moonloop for LuaLS, the language server; made from doc/reference by scripts/package/types.lua.

---@class moonloop.redis
local redis = {}

---@class moonloop.redis.client.opts
---@field user? string credentials (the URL's)
---@field password? string credentials (the URL's)
---@field database? integer its number; the option overrides the URL (the URL's, or 0)
---@field name? string the name in CLIENT LIST (none)
---@field protocol? any RESP2, or RESP3 if the server supports it (3)
---@field timeout? number seconds that a command may take, including the wait for a connection; `math.huge`: no limit. A blocking command may take that much longer than its own limit; without a limit of its own, it may block for ever. It does not apply to messages (10)
---@field connect_timeout? number seconds for the handshake (5)
---@field tls? boolean|table speak TLS: `true`, or the options of a client; the certificate has to be for the host, or for `server_name`. A file or certificate of ours that is wrong raises, with kind `"tls"`; a server's fails the commands that wait (with `rediss://` true)
---@field offline_queue? integer commands that may wait while there is no connection; further ones fail with kind `"busy"` (1000)
---@field max_reply? integer bytes that a command's reply may have, or all those of a pipeline: more is an error of kind `"limit"`, the rest is dropped as it comes, and the connection goes on. A longer message of a subscription ends its connection. `math.huge`: 1 GB a reply (256 MB)

---Makes a client that connects at its first command, so it can be created at module level. `url` is
---`redis://[[USER]:PASSWORD@]HOST[:PORT][/DATABASE]`, the same with `rediss://` for TLS, or `unix:PATH[?db=DATABASE]`; characters of
---user and password may be percent-encoded. A bad URL raises, without its password. A client that is used in a job of
---the executor becomes a new client there, with the same URL and options; caches and scripts may be used there, too, locks and iterators may not.
---@param url string
---@param opts? moonloop.redis.client.opts
---@return moonloop.redis.client r
function redis.client(url, opts) end

---@class moonloop.redis.cluster: moonloop.redis.client
local cluster = {}

---The clients of the nodes that have slots.
---@return any[]?
---@return moonloop.error? err
function cluster:nodes() end

---@class moonloop.redis.client
---@field [string] fun(self: moonloop.redis.client, ...: any): any, moonloop.error?
local client = {}

---Any command by name: `r:call("JSON.GET", key)`. Use it for the raw command where a method below has the same name.
---@param name string
---@param ... any
---@return any? value
---@return moonloop.error? err
function client:call(name, ...) end

---Calls `f(p)`. Commands called on `p` return nothing and are sent together when `f` returns. The list has their replies and `n`; an
---error reply is an error object in its place. If `f` raises or returns `nil, err`, nothing is sent.
---@param f fun(p: moonloop.redis.client): any
---@return any[]?
---@return moonloop.error? err
function client:pipeline(f) end

---@class moonloop.redis.client.multi.opts
---@field watch? string|any[] keys to watch; `f(m, c)` gets a connection `c` to read from. The result is nil, without an error, if one of the keys was changed meanwhile (none)

---The same between MULTI and EXEC: the commands are executed without others in between, or not at all.
---@param opts moonloop.redis.client.multi.opts|nil
---@param f function
---@return any[]?
---@return moonloop.error? err
---@overload fun(self: moonloop.redis.client, f: function): any[]?, moonloop.error?
function client:multi(opts, f) end

---Lua code for the server. `script(keys, ...) -> value | nil, err` runs it (EVALSHA) with a list of keys and arguments. It is sent
---again if the server has forgotten it.
---@param source string
---@return any script
function client:script(source) end

---@class moonloop.redis.client.scan.opts
---@field count? integer roughly how many keys to examine per round trip (the server's)
---@field type? string `"string"`, `"list"`, ... (any)

---`for key in r:scan("user:*") do`. A key that exists throughout the scan comes at least once.
---@param pattern? string
---@param opts? moonloop.redis.client.scan.opts
---@return (fun(...): ...) iterator
function client:scan(pattern, opts) end

---@param channel string
---@param ... any
---@return (fun(...): ...) iterator
function client:subscribe(channel, ...) end

---`for m in r:subscribe("news") do`: messages with `channel` and `payload`, and `pattern` for `psubscribe`. It returns when the
---server has confirmed the subscription. It uses a connection of its own; leaving the loop closes it. If the connection is lost, it
---subscribes again, however long that takes, and then one `m` has `gap` set: messages may have been missed.
---@param pattern string
---@param ... any
---@return (fun(...): ...) iterator
function client:psubscribe(pattern, ...) end

---@class moonloop.redis.client.group.opts
---@field consumer string a name that stays the same when the process restarts
---@field count? integer messages to fetch per round trip (10)
---@field claim_idle? number seconds after which messages held by other consumers are taken over (none)
---@field start? string where a new group starts: `"$"` is the end (`"0"`)

---`for msg in r:group("jobs", "workers", { consumer = "one" }) do ... msg:ack() end`: the messages of a stream, each
---delivered to one consumer of the group. The group is created if it is missing. Messages that this consumer got earlier and did not acknowledge come first. A
---message has `id`, `fields` and `stream`. While there is no connection, it waits; afterwards, messages that were not acknowledged
---come again.
---@param stream string
---@param group string
---@param opts moonloop.redis.client.group.opts
---@return (fun(...): ...) iterator
function client:group(stream, group, opts) end

---@class moonloop.redis.client.lock.opts
---@field ttl? number seconds after which it expires, whatever its holder does (30)
---@field wait? number seconds to wait for it (0)

---A lock with one holder at a time. `local lock <close> = assert(r:lock("report"))` releases it at the end of the block. An error of
---kind `"busy"` means that somebody else holds it.
---@param name string
---@param opts? moonloop.redis.client.lock.opts
---@return moonloop.redis.lock? lock
---@return moonloop.error? err
function client:lock(name, opts) end

---@class moonloop.redis.client.cache.opts
---@field ttl number seconds for which values are kept
---@field prefix? string prefix of the keys on the server (`"cache:"`)
---@field making? number seconds that computing a value may take; after that, others compute it themselves (30)

---@param opts moonloop.redis.client.cache.opts
---@return moonloop.redis.cache cache
function client:cache(opts) end

---Closes all connections. Waiting and later calls fail with kind `"closed"`.
function client:close() end

---@class moonloop.redis.message
local message = {}

---Acknowledges the message.
---@return true?
---@return moonloop.error? err
function message:ack() end

---@class moonloop.redis.lock
local lock = {}

---Releases the lock. An error of kind `"busy"` means that it had expired or been taken over.
---@return true?
---@return moonloop.error? err
function lock:release() end

---Makes the lock last for `ttl` seconds from now.
---@param ttl? number
---@return true?
---@return moonloop.error? err
function lock:extend(ttl) end

---@class moonloop.redis.cache
local cache = {}

---The stored value, or the result of `make(key)`, which is then stored as JSON. If many ask at once, in any number of processes, one
---computes it. nil and errors are not stored. Without a connection, the value is computed each time.
---@param key any
---@param make function
---@return any? value
---@return moonloop.error? err
function cache:get(key, make) end

---@param key any
---@param value any
---@return true?
---@return moonloop.error? err
function cache:set(key, value) end

---@param key any
---@return true?
---@return moonloop.error? err
function cache:delete(key) end
