-- What a server answers to a WebSocket's client: the connection is closed, or becomes a WebSocket, which takes a 101
-- with our key's answer. KEY in the input is that answer.
local core = require "moonloop.websocket.core"
local websocket = require "moonloop.websocket"

local WHERE = { host = "h", port = 80, authority = "h", target = "/", is_secure = false }
local OPTIONS = { protocols = { "chat", "v2" }, compress = {} }

return function(text)
  local at, closed, answered = 1, false, nil
  local conn = {}
  function conn:write(head)
    text = text:gsub("KEY", function()
      answered = true
      return core.accept_key(head:match "\r\nSec%-WebSocket%-Key: ([^\r]+)\r\n")
    end)
    return self
  end
  function conn.read_until(_, mark)
    local _, to = text:find(mark, at, true)
    if not to then return nil end
    local head = text:sub(at, to)
    at = to + 1
    return head
  end
  function conn.close() closed = true end
  local ok, ws, err = pcall(websocket.connect_by, function() return conn end, WHERE, OPTIONS)
  assert(closed == ok)
  if ok then return assert(ws == nil and err.kind == "network" and err.code == "HANDSHAKE" and err.message) end
  assert(answered and tostring(ws):find("connection expected", 1, true), ws) -- one was to be made of it
end
