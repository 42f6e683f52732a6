--- A reader of Server-Sent Events for the specs.
local web = require "spec.support.web"
local rawtcp = require("spec.support").rawtcp

local M = {}

local Stream = {}
Stream.__index = Stream

--- Asks for the events of `target`.
function M.open(port, target)
  local conn = assert(rawtcp.connect(port))
  assert(conn:send(web.request("GET", target or "/")))
  local head = assert(conn:receive "\r\n\r\n")
  assert(head:find "text/event%-stream", head)
  return setmetatable({ conn = conn, text = "" }, Stream)
end

--- The data of the next event; nil where the stream has ended.
function Stream:next()
  while true do
    local from, to = self.text:find("\n\n", 1, true)
    if from then
      local event = self.text:sub(1, from - 1)
      self.text = self.text:sub(to + 1)
      if event:find "^data" then return (event:gsub("^data: ", ""):gsub("\ndata: ", "\n")) end
    else
      local size = tonumber(self.conn:receive "\r\n" or "", 16)
      if not size or size == 0 then return nil end
      self.text = self.text .. (self.conn:receive(size) or "")
      self.conn:receive "\r\n"
    end
  end
end

function Stream:close() self.conn:close() end

Stream.__close = Stream.close

return M
