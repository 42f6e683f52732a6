--- A proxy for the specs, in front of any server: it delays, cuts in the middle of a message, sends one byte at a
-- time, freezes and resets.
local ml = require "moonloop"
local rawtcp = require("spec.support").rawtcp

local M = {}

local LONG = 100000 -- seconds, for what has no time of its own

local Proxy = {}
Proxy.__index = Proxy

-- Closes both sides of a connection, once.
local function close_pair(pair, reset)
  if pair.closed then return end
  pair.closed = true
  pair.proxy.pairs[pair] = nil
  for _, conn in ipairs { pair.client, pair.server } do
    if reset then conn:reset() else conn:close() end
  end
end

-- Sends the pieces; false where the connection is over.
local function send_pieces(pair, to, pieces)
  local proxy = pair.proxy
  for _, piece in ipairs(pieces) do
    if proxy.delay then ml.sleep(proxy.delay()) end
    proxy.open:wait()
    if pair.closed then return false end
    if piece ~= "" and not to:send(piece) then return false end
  end
  if pieces.freeze then ml.sleep(pieces.freeze) end
  return not pieces.cut
end

-- Passes on what one side sends, a piece at a time.
local function pass_on(pair, from, to, upwards)
  local reset = false
  while not pair.closed do
    local bytes = from:receive(nil, LONG)
    if not bytes or bytes == "" then break end
    pair.proxy.open:wait()
    local pieces = pair.proxy.pass(bytes, upwards)
    reset = pieces.cut == "reset"
    if not send_pieces(pair, to, pieces) then break end
  end
  close_pair(pair, reset)
end

local function as_it_is(bytes) return { bytes } end

-- Takes connections and opens one to the server for each.
local function take(proxy)
  while true do
    local client = proxy.listener:accept(LONG)
    if not client then return end
    proxy.connections = proxy.connections + 1
    local server = rawtcp.connect(proxy.target)
    if server then
      local pair = { proxy = proxy, client = client, server = server, closed = false }
      proxy.pairs[pair] = true
      proxy.group:spawn(pass_on, pair, client, server, true)
      proxy.group:spawn(pass_on, pair, server, client, false)
    else
      client:close()
    end
  end
end

--- Holds back all bytes, in both ways, until `proxy:thaw()`.
function Proxy:freeze() self.open:clear() end

function Proxy:thaw() self.open:set() end

--- Cuts all connections.
function Proxy:cut(reset)
  for pair in pairs(self.pairs) do close_pair(pair, reset) end
end

--- How many connections there are.
function Proxy:count()
  local n = 0
  for _ in pairs(self.pairs) do n = n + 1 end
  return n
end

--- From now on faults happen at random. faults: the probabilities for a piece of what is sent of `cut` (in its
-- middle; one half of them resets), `bytes` (one at a time), `halves` and `freeze`, and the most seconds of a
-- `delay`, which happens with the probability `delays`. nil: none.
function Proxy:harass(faults)
  if not faults then
    self.pass, self.delay = as_it_is, nil
    return
  end
  local random = math.random
  function self.pass(bytes)
    local dice, pieces = random(), {}
    local function happens(probability)
      dice = dice - (probability or 0)
      return dice < 0
    end
    if happens(faults.cut) then
      return { bytes:sub(1, random(0, #bytes)), cut = random(2) == 1 and "reset" or true }
    elseif happens(faults.bytes) and #bytes < 2000 then
      for i = 1, #bytes do pieces[i] = bytes:sub(i, i) end
      return pieces
    elseif happens(faults.halves) then
      local at = random(0, #bytes)
      return { bytes:sub(1, at), bytes:sub(at + 1) }
    elseif happens(faults.freeze) then
      return { bytes, freeze = random() * (faults.frozen or 0.05) }
    end
    return { bytes }
  end
  function self.delay() return random() < (faults.delays or 0) and random() * (faults.delay or 0.001) or 0 end
end

function Proxy:close()
  self.task:cancel()
  self.listener:close()
  self:cut()
  self.group:cancel()
  ml.wait { self.task }
end

Proxy.__close = Proxy.close

--- Starts a proxy in front of the server at `target`, a port on 127.0.0.1 or the path of a Unix socket. It listens
-- on `path`, a Unix socket, or on `proxy.port`. `proxy.pass(bytes, upwards)` gives the pieces in which bytes
-- are passed on (upwards: to the server), with `cut` set to true or "reset" where the connection ends
-- behind them, and `freeze` to seconds for which this side rests; `proxy.delay()` gives the seconds before
-- each piece. Both can be set at any time.
function M.start(target, path)
  local listener = assert(rawtcp.listen(128, path))
  local proxy = setmetatable({ target = target, listener = listener, port = not path and listener.port or nil,
    pass = as_it_is, connections = 0, pairs = {}, open = ml.event(), group = nil }, Proxy)
  proxy.open:set()
  proxy.task = ml.spawn(function()
    local group <close> = ml.group()
    proxy.group = group
    take(proxy)
  end)
  ml.sleep(0) -- it takes connections from now on
  return proxy
end

return M
