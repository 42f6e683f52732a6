--- The methods of WebSockets that are written in Lua.
local json = require "moonloop.json"
local websocket = require "moonloop.websocket.core"

local methods = websocket.methods()

--- send_json(value) -> ws | nil, err: a message of text with the value as JSON. Suspends like send.
function methods:send_json(value)
  return self:send(json.encode(value))
end

--- receive_json() -> value | nil, err: the next message, decoded. One that is not JSON closes the socket
-- with 1007; `err` has the kind "json" then. Suspends like receive.
function methods:receive_json()
  local message, err = self:receive()
  if not message then return nil, err end
  local value
  value, err = json.decode(message)
  if value == nil and err ~= nil then
    websocket.say_close(self, 1007, "a message that is not JSON")
    return nil, err
  end
  return value
end

return methods
