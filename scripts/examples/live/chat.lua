-- A chat with rooms, and its page. Run it with: moonloop serve scripts/examples/live/chat.lua
-- Open http://127.0.0.1:8000/ in two windows. With --workers N, and on several hosts, everybody hears everybody:
--   REDIS_URL=redis://127.0.0.1 moonloop serve scripts/examples/live/chat.lua --workers 2
local ml = require "moonloop"
local page = require "page"

local s = ml.schema

local KEPT = 50 -- messages that a room remembers
local ROOMS = 100 -- that are remembered: anybody can think of as many names as they like
local DAY = 86400 -- seconds after which Redis forgets a room where nobody speaks
local BEAT = '{"kind":"beat"}' -- a page that has heard nothing for a while asks so, and gets it back

local app = ml.web.app()
page(app, "chat")

local redis = os.getenv "REDIS_URL" and ml.redis.client(os.getenv "REDIS_URL")
local hub = ml.web.hub { name = "chat", redis = redis }

local Said = s.object("Said", {
  id = s.string { min = 1, max = 64 }, -- made by the page, which knows its message again by it
  text = s.string { min = 1, max = 2000 },
})

-- The last messages of each room, oldest first: in Redis if there is one, so that all processes have the same, else
-- here. Each is JSON as it was sent.
local history = {}
local remembered, order = {}, {} -- rooms, and their names, the one that was made first in front

function history.add(room, text)
  if redis then
    redis:rpush("chat:" .. room, text)
    redis:ltrim("chat:" .. room, -KEPT, -1)
    redis:expire("chat:" .. room, DAY)
    return
  end
  local list = remembered[room]
  if not list then
    list = {}
    remembered[room], order[#order + 1] = list, room
    if #order > ROOMS then remembered[table.remove(order, 1)] = nil end
  end
  list[#list + 1] = text
  if #list > KEPT then table.remove(list, 1) end
end

function history.of(room)
  if redis then return redis:lrange("chat:" .. room, 0, -1) or {} end
  return remembered[room] or {}
end

-- Codes from 4000 on are the app's own; the page does not try again after one of them.
local REFUSED = 4000

app:websocket("/rooms/{room}", { max_message = 16384 }, function(ws, req)
  local room, name = req.params.room, req.query.name or ""
  if not room:find "^[%w-]+$" or #room > 30 then return ws:close(REFUSED, "that is no name of a room") end
  if not name:find "%S" or #name > 40 then return ws:close(REFUSED, "please say who you are") end

  hub:join(ws, room) -- first, so that nothing is missed; the page leaves out what it has got twice
  for _, text in ipairs(history.of(room)) do ws:send(text) end
  hub:publish(room, { kind = "joined", name = name })
  local _ <close> = setmetatable({}, { __close = function() hub:publish(room, { kind = "left", name = name }) end })

  for text in ws:messages() do
    if text == BEAT then
      ws:send(BEAT)
    else
      local said = Said:decode(text)
      if not said then return ws:close(REFUSED, "that is no message") end
      local message = ml.json.encode { kind = "said", id = said.id, name = name, text = said.text, at = ml.time.now() }
      history.add(room, message)
      hub:publish(room, message)
    end
  end
end)

return app
