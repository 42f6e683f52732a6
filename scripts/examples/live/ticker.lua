-- A client of a ticker, as exchanges and weather services have them, with a ticker to talk to:
--   moonloop run scripts/examples/live/ticker.lua [URL]
-- The client subscribes, follows the numbers of the messages, and comes back when the connection is lost, which
-- the ticker here sees to once.
local ml = require "moonloop"

local SYMBOLS = { "TEA-EUR", "RICE-EUR" }
local LAST = tonumber(os.getenv "LAST") or 24 -- messages until this example ends

-- The ticker -------------------------------------------------------------------------------------------------

local prices = { ["TEA-EUR"] = 4.20, ["RICE-EUR"] = 1.75, ["SALT-EUR"] = 0.60 }

local function ticker()
  local app, hub = ml.web.app(), ml.web.hub { name = "ticker" }
  local number, visits = 0, 0

  app:websocket("/feed", function(ws)
    visits = visits + 1
    local visit = visits
    local request = assert(ws:receive_json())
    if request.op ~= "subscribe" then return ws:close(4000, "subscribe first") end
    for _, symbol in ipairs(request.symbols) do
      if not prices[symbol] then return ws:close(4001, "there is no " .. symbol) end
      hub:join(ws, symbol)
      ws:send_json { type = "price", symbol = symbol, price = prices[symbol], number = number } -- what counts now
    end
    if visit == 1 then
      local last = number + 12
      while number < last do ml.sleep(0.05) end
      ws:close(1012, "restarting") -- as services do
    end
    for _ in ws:messages() do end -- until the client goes
  end)

  local trades = ml.spawn(function()
    for n in ml.every(0.05) do
      for symbol in pairs(prices) do
        number = number + 1
        prices[symbol] = prices[symbol] + (n % 2 == 0 and 0.01 or -0.01)
        hub:publish(symbol, { type = "price", symbol = symbol, price = prices[symbol], number = number })
      end
    end
  end)
  local server = assert(ml.web.listen(app, { port = 0 }))
  return setmetatable({ url = ("ws://127.0.0.1:%d/feed"):format(server.port) }, { __close = function()
    trades:cancel()
    server:stop(0)
  end })
end

-- The client -------------------------------------------------------------------------------------------------

--- Calls f(update) with each update, for as long as it gives true. Comes back by itself; raises where that is
-- of no use, as the service has refused.
local function follow(url, symbols, f)
  local pause = 0.1
  while true do
    local ws <close>, err = ml.ws.connect(url, { timeout = 10 })
    if ws then
      ws:send_json { op = "subscribe", symbols = symbols }
      local update
      update, err = ws:receive_json()
      while update do
        pause = 0.1 -- it works again
        if not f(update) then return end
        update, err = ws:receive_json()
      end
      if err.code and math.type(err.code) == "integer" and err.code >= 4000 then error(err, 0) end
    end
    print(("connection lost (%s); the next attempt is in %.1f s"):format(err, pause))
    ml.sleep(pause * (0.5 + math.random() / 2)) -- not all clients in the same moment
    pause = math.min(pause * 2, 30)
  end
end

local own <close> = not arg[1] and ticker() or nil
local seen = {}
follow(arg[1] or own.url, SYMBOLS, function(update)
  -- After a new subscription the present price comes first; what is older than the last one is no news.
  if update.number >= (seen[update.symbol] or 0) then
    seen[update.symbol] = update.number
    print(("%-9s %.2f"):format(update.symbol, update.price))
    LAST = LAST - 1
  end
  return LAST > 0
end)
print "enough"
