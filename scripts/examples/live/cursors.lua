-- A page on which everybody sees the pointers of the others. Run it with:
--   moonloop serve scripts/examples/live/cursors.lua
-- and open http://127.0.0.1:8000/ in two windows.
local ml = require "moonloop"
local page = require "page"

local s = ml.schema

local BEAT = '{"kind":"beat"}'
local ANIMALS = { "Badger", "Crane", "Dormouse", "Finch", "Heron", "Hare", "Jackdaw", "Lynx", "Marten", "Newt", "Otter",
  "Owl", "Robin", "Stoat", "Swift", "Wren" }

local app = ml.web.app()
page(app, "cursors")

local hub = ml.web.hub { name = "cursors" }

-- Where a pointer is, in parts of the page's width and height.
local Place = s.object("Place", { x = s.number { min = 0, max = 1 }, y = s.number { min = 0, max = 1 } })

app:websocket("/cursors", { max_message = 1024 }, function(ws)
  local me = { id = ("%016x"):format(math.random(0)), name = ANIMALS[math.random(#ANIMALS)], hue = math.random(0, 359) }
  ws:send_json { kind = "you", id = me.id, name = me.name, hue = me.hue }
  hub:join(ws, "all")
  hub:publish("all", { kind = "hello", id = me.id }, { except = ws }) -- the others say where they are
  local _ <close> = setmetatable({}, { __close = function() hub:publish("all", { kind = "gone", id = me.id }) end })

  for text in ws:messages() do
    if text == BEAT then
      ws:send(BEAT)
    else
      local place = Place:decode(text)
      if not place then return ws:close(4000, "that is no place") end
      hub:publish("all", { kind = "moved", id = me.id, name = me.name, hue = me.hue, x = place.x, y = place.y },
        { except = ws })
    end
  end
end)

return app
