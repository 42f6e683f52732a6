--- Server-Sent Events: a response that sends events for as long as its function runs (the HTML
-- standard, section 9.2, Server-sent events).
local core = require "moonloop.core"
local json = require "moonloop.json"
local response = require "moonloop.web.response".new

local M = {}

local PING = 15 -- seconds: what stands between us and the client takes a silent one for dead

local FIELDS = { data = true, event = "string", id = "string", retry = "integer" }

--- Raises what is wrong with an event, at the line that sends it.
local function check(event)
  for name, value in pairs(event) do
    local wanted = FIELDS[name]
    if not wanted then error("unknown field '" .. tostring(name) .. "' of an event", 3) end
    if name == "id" and math.type(value) == "integer" then value = tostring(value) end
    if wanted ~= true and (wanted == "integer" and math.type(value) or type(value)) ~= wanted then
      error("field '" .. name .. "' of an event is a " .. type(value) .. " (expected " .. wanted ..
        ")", 3)
    end
    if wanted == "string" and value:find("[\r\n\0]") then
      error("field '" .. name .. "' of an event has a line break or a NUL", 3)
    end
  end
  if event.retry and event.retry < 0 then error("field 'retry' of an event is negative", 3) end
  if next(event) == nil then error("an event without a field", 3) end
end

--- The text of an event.
local function format(event)
  local lines = {}
  if event.event then lines[#lines + 1] = "event: " .. event.event end
  if event.id then lines[#lines + 1] = "id: " .. event.id end
  if event.retry then lines[#lines + 1] = "retry: " .. event.retry end
  local data = event.data
  if data ~= nil then
    if type(data) ~= "string" then data = json.encode(data) end
    data = data:gsub("\r\n?", "\n")
    for line in (data .. "\n"):gmatch("(.-)\n") do lines[#lines + 1] = "data: " .. line end
  end
  lines[#lines + 1] = "\n"
  return table.concat(lines, "\n")
end

--- Writes a comment now and then for as long as it is not closed.
local function ping(out, seconds)
  local closed = false
  local task = core.spawn(function()
    while true do
      core.sleep(seconds)
      if closed then return end
      out:write(":\n\n")
    end
  end)
  return setmetatable({}, { __close = function()
    closed = true
    task:cancel()
  end })
end

local OPTIONS = { ping = "number", headers = "table" }

local function check_options(opts)
  for name, value in pairs(opts) do
    local wanted = OPTIONS[name]
    if not wanted then error("unknown option '" .. tostring(name) .. "' of events", 3) end
    if type(value) ~= wanted then
      error("option '" .. name .. "' of events is a " .. type(value) .. " (expected " .. wanted ..
        ")", 3)
    end
  end
  if opts.ping and (opts.ping <= 0 or opts.ping ~= opts.ping) then
    error("option 'ping' of events is not a positive number of seconds", 3)
  end
end

--- web.events(f [, opts]): a response that sends events while `f(send)` runs, in the handler's task.
-- send(text), or send{data =, event =, id =, retry =}: `data` that is no string is sent as JSON;
-- `id` is what the client tells in the header Last-Event-ID when it connects again, by itself, as
-- browsers do; `retry` is how many milliseconds it waits before that. `send` suspends while the
-- client is behind; when it goes away, `f` is cancelled.
--
-- @param opts headers, and ping: the seconds between two comments that keep the connection alive
-- (15; math.huge for none)
function M.events(f, opts)
  if type(f) ~= "function" then
    error("bad argument #1 to 'events' (function expected, got " .. type(f) .. ")", 2)
  end
  opts = opts or {}
  check_options(opts)
  local res = response {
    headers = opts.headers or {},
    stream = function(out)
      local _ <close> = ping(out, opts.ping or PING)
      f(function(event)
        if type(event) == "string" then
          event = { data = event }
        elseif type(event) ~= "table" then
          error("bad argument #1 to 'send' (string or table expected, got " .. type(event) .. ")", 2)
        end
        check(event)
        out:write(format(event))
      end)
    end,
  }
  local headers = res.headers
  headers["Content-Type"] = headers["Content-Type"] or "text/event-stream"
  headers["Cache-Control"] = headers["Cache-Control"] or "no-cache"
  headers["X-Accel-Buffering"] = headers["X-Accel-Buffering"] or "no" -- nginx would collect it
  return res
end

return M
