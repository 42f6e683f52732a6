--- The servers of a client: one URL, sentinels, or the nodes of a cluster.
local arguments = require "moonloop.redis.arguments"
local parse_url = require "moonloop.redis.url"

local raise = arguments.raise

local SENTINEL_PORT = 26379
local DEFAULT_MASTER = "mymaster"

local M = {}

--- The place of one URL.
M.parse = parse_url

--- The place of a host and a port.
function M.at(host, port)
  local shown = host:find(":", 1, true) and "[" .. host .. "]" or host
  return { host = host, port = port, database = 0, label = ("redis://%s:%d"):format(shown, port) }
end

-- The places of a list of URLs, or of a single one. "HOST:PORT" is accepted, too.
local function list(name, urls, default_port)
  if type(urls) == "string" then urls = { urls } end
  if type(urls) ~= "table" or #urls == 0 then
    raise("ml.redis.client: %s: a list of URLs expected, such as {\"redis://127.0.0.1:%d\"}, got %s", name,
      default_port or 6379, type(urls) == "table" and "an empty one" or type(urls))
  end
  local result = {}
  for i, url in ipairs(urls) do
    if type(url) == "string" and not url:find("://", 1, true) and not url:find "^unix:" then url = "redis://" .. url end
    result[i] = parse_url(url, default_port)
  end
  return result
end

local function of_sentinels(urls, master)
  if master == nil then master = DEFAULT_MASTER end
  if type(master) ~= "string" or master == "" then
    raise("ml.redis.client: option 'master': the name of the master at the sentinels expected, got %s", type(master))
  end
  local sentinels = list("sentinels", urls, SENTINEL_PORT)
  for _, place in ipairs(sentinels) do
    if place.path then raise("ml.redis.client: sentinels: '%s' is a Unix socket; a host is needed", place.path) end
  end
  return { sentinels = sentinels, master = master, database = 0, label = ("the master '%s'"):format(master) }
end

--- For `{sentinels = [, master =], options...}` a place; for `{cluster =, options...}` nil and the list of places
-- to start from. The third result are the other options, including `opts`.
function M.several(where, opts)
  local rest = {}
  for _, t in ipairs { where, opts or {} } do
    for name, value in pairs(t) do rest[name] = value end
  end
  local sentinels, cluster, master = rest.sentinels, rest.cluster, rest.master
  rest.sentinels, rest.cluster, rest.master = nil, nil, nil
  if sentinels ~= nil and cluster ~= nil then raise "ml.redis.client: give either sentinels or a cluster, not both" end
  if sentinels ~= nil then return of_sentinels(sentinels, master), nil, rest end
  if cluster == nil then raise "ml.redis.client: a URL, {sentinels =} or {cluster =} expected" end
  if master ~= nil then raise "ml.redis.client: option 'master' belongs to sentinels" end
  return nil, list("cluster", cluster), rest
end

return M
