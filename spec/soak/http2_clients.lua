--- Clients of HTTP/2 that disconnect.lua lets go away: frames written by hand, so that they can end anywhere.
local frames = require "spec.support.http2_frames"

local M = {}

local random = math.random

local PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
local INITIAL_WINDOW_SIZE, LARGEST, CANCEL = 4, (1 << 31) - 1, 8
-- Responses are never held back by us.
local HELLO = PREFACE .. frames.settings { [INITIAL_WINDOW_SIZE] = LARGEST }
  .. frames.frame(frames.WINDOW_UPDATE, 0, 0, (">I4"):pack(1 << 30))
local PATHS = { "/plain", "/large", "/sleep", "/children", "/stream", "/events", "/nothing" }
local LONGEST_BODY = 3000 -- bytes, so that all bodies fit into the window of a connection

local function request(id)
  local posts = random(4) == 1
  local fields = { ":method", posts and "POST" or "GET", ":scheme", "http", ":authority", "here", ":path",
    posts and "/body" or PATHS[random(#PATHS)] }
  if not posts then return frames.headers(id, fields, frames.END_STREAM) end
  local body = ("b"):rep(random(0, LONGEST_BODY))
  local middle = random(0, #body)
  return frames.headers(id, fields) .. frames.frame(frames.DATA, 0, id, body:sub(1, middle))
    .. frames.frame(frames.DATA, frames.END_STREAM, id, body:sub(middle + 1))
end

--- make() -> the bytes of a connection, how many requests they have, and the set of those streams that the client does
-- not cancel.
function M.make()
  local parts, wanted, count = { HELLO }, {}, random(1, 12)
  for i = 1, count do
    local id = 2 * i - 1
    parts[#parts + 1] = request(id)
    if random(3) == 1 then
      parts[#parts + 1] = frames.reset(id, CANCEL)
    else
      wanted[id] = true
    end
    if random(6) == 1 then parts[#parts + 1] = frames.frame(frames.PING, 0, 0, "12345678") end
  end
  return table.concat(parts), count, wanted
end

--- Reads until all streams of `wanted` have been answered whole. Returns how many were; nil and what is wrong.
function M.complete(conn, wanted)
  local left, completed = 0, 0
  for _ in pairs(wanted) do left = left + 1 end
  while left > 0 do
    local frame = frames.read(conn)
    if not frame then return nil, ("the connection ended with %d streams open"):format(left) end
    if frame.type == frames.SETTINGS and frame.flags & frames.ACK == 0 then
      conn:send(frames.frame(frames.SETTINGS, frames.ACK, 0))
    elseif frame.type == frames.GOAWAY then
      return nil, ("GOAWAY with the code %d"):format((">I4"):unpack(frame.payload, 5))
    elseif wanted[frame.id] then
      if frame.type == frames.RST_STREAM then return nil, ("stream %d was reset"):format(frame.id) end
      local ends = frame.type == frames.DATA or frame.type == frames.HEADERS
      if ends and frame.flags & frames.END_STREAM ~= 0 then
        left, completed = left - 1, completed + 1
        wanted[frame.id] = nil
      end
    end
  end
  return completed
end

--- The last frame of a client that leaves in order.
function M.goodbye() return frames.goaway(0) end

return M
