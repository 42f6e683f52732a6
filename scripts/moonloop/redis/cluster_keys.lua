--- Finds the keys among a command's arguments, to know which node of a cluster has them.
local core = require "moonloop.redis.core"
local tasks = require "moonloop.core"

local M = {}

local function set(words)
  local result = {}
  for word in words:gmatch "%S+" do result[word] = true end
  return result
end

-- Commands without keys, which any node can execute.
local anywhere = set "PING ECHO TIME INFO CLIENT CONFIG COMMAND ACL LATENCY SLOWLOG PUBLISH PUBSUB SCRIPT \z
  FUNCTION CLUSTER LASTSAVE ROLE MODULE DEBUG LOLWUT ASKING"

-- Commands about all keys of a server.
local of_a_node = set "DBSIZE FLUSHALL FLUSHDB KEYS RANDOMKEY SCAN SWAPDB SAVE BGSAVE BGREWRITEAOF SHUTDOWN \z
  WAIT WAITAOF FAILOVER REPLICAOF"

-- Commands whose first key is the second argument.
local second = set "OBJECT XGROUP XINFO MEMORY BITOP"

-- The position of the argument that says how many keys follow.
local counted = { EVAL = 2, EVALSHA = 2, EVAL_RO = 2, EVALSHA_RO = 2, FCALL = 2, FCALL_RO = 2, ZUNION = 1,
  ZINTER = 1, ZDIFF = 1, ZINTERCARD = 1, SINTERCARD = 1, LMPOP = 1, ZMPOP = 1, BLMPOP = 2, BZMPOP = 2 }

-- Commands with keys from the first one to the last argument, or to the one before it (but_last).
local all = set "DEL UNLINK EXISTS TOUCH MGET SINTER SUNION SDIFF SINTERSTORE SUNIONSTORE SDIFFSTORE PFCOUNT \z
  PFMERGE WATCH RENAME RENAMENX BITOP"
local but_last = set "BLPOP BRPOP BZPOPMIN BZPOPMAX"
local every_second = set "MSET MSETNX"

-- The positions of the first and the last key, and the step between keys; nothing if there are none.
local function range(name, args)
  if anywhere[name] then return end
  local at = counted[name]
  if at then
    local n = math.tointeger(tonumber(args[at]))
    if not n or n < 1 then return end
    return at + 1, at + n, 1
  elseif name == "XREAD" or name == "XREADGROUP" then
    for i = 1, #args do
      if type(args[i]) == "string" and args[i]:upper() == "STREAMS" then return i + 1, i + (#args - i) // 2, 1 end
    end
    return
  end
  local first = second[name] and 2 or 1
  if all[name] then return first, #args, 1 end
  if but_last[name] then return first, #args - 1, 1 end
  if every_second[name] then return first, #args, 2 end
  return first, first, 1
end

-- Other values are refused when the command is sent.
local function is_word(value) return type(value) == "string" or type(value) == "number" end

--- The error of a command whose keys are in different slots.
function M.crossing(name, one, other)
  return tasks.error { kind = "redis", code = "CROSSSLOT",
    message = ("%s: the keys '%s' and '%s' are in different slots of the cluster: give both the same {tag}, or " ..
      "use one command for each key, in r:pipeline"):format(name, one, other) }
end

--- The slot and the first key of a command, given the list of its arguments; nil if it has no key. false and an
-- error if its keys are in several slots, or if it is about all keys of a server.
function M.slot(name, args)
  if of_a_node[name] then
    return false, tasks.error { kind = "redis", code = "NONODE",
      message = ("%s: each node of a cluster has its own keys: use the clients in cluster:nodes()"):format(name) }
  end
  local first, last, step = range(name, args)
  local key = first and args[first]
  if not is_word(key) then return nil end
  local slot = core.slot(key)
  for i = first + step, math.min(last, #args), step do
    if is_word(args[i]) and core.slot(args[i]) ~= slot then return false, M.crossing(name, key, args[i]) end
  end
  return slot, key
end

return M
