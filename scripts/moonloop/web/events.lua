--- Server-Sent Events: a response that sends events while its function runs (the HTML standard, section
-- 9.2, Server-sent events).
local core = require "moonloop.core"
local json = require "moonloop.json"
local options = require "moonloop.core.options"
local response = require "moonloop.web.response".new
local web = require "moonloop.web.core"

local fail = core.fail

local M = {}

local PING = 15 -- seconds: proxies close a connection that stays silent

local FIELDS = { data = true, event = "string", id = "string", retry = "integer" }

--- Raises what is wrong with an event, at the line that sends it.
local function check(event)
  for name, value in pairs(event) do
    local wanted = FIELDS[name]
    if not wanted then fail(options.unknown(name, FIELDS, "an event", "field")) end
    if name == "id" and math.type(value) == "integer" then value = tostring(value) end
    if wanted ~= true and (wanted == "integer" and math.type(value) or type(value)) ~= wanted then
      fail(options.wrong(name, value, wanted, "an event", "field"))
    end
    if wanted == "string" and value:find("[\r\n\0]") then
      fail("field '" .. name .. "' of an event has a line break or a NUL")
    end
  end
  if event.retry and event.retry < 0 then fail("field 'retry' of an event is negative") end
  if next(event) == nil then fail("an event has no fields") end
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
    if data:find("\r", 1, true) then data = data:gsub("\r\n?", "\n") end
    if data:find("\n", 1, true) then data = data:gsub("\n", "\ndata: ") end
    lines[#lines + 1] = "data: " .. data
  end
  lines[#lines + 1] = "\n"
  return table.concat(lines, "\n")
end

local last_letter, last_text

--- The text of what a hub has given. All its members are given the same, one after the other.
local function format_letter(letter)
  if letter ~= last_letter then last_letter, last_text = letter, format { data = letter } end
  return last_text
end

local mailboxes = setmetatable({}, { __mode = "k" }) -- by `send`

--- What the stream of this `send` gets from hubs; nil for any other function.
function M.mailbox(send) return mailboxes[send] end

--- Sends what hubs have given.
local function send_letters(out, mailbox)
  for letter in mailbox.take, mailbox do out:write(format_letter(letter)) end
end

--- Writes what comes from hubs, and a comment where nothing has come for a while, until it is closed.
local function write_on(out, mailbox, seconds)
  local closed = false
  local task = core.spawn(function()
    while true do
      local letter, err = core.timeout(seconds, mailbox.next, mailbox)
      if closed then return end
      if letter then
        out:write(format_letter(letter))
        send_letters(out, mailbox)
      elseif err then
        out:write(":\n\n")
      end
    end
  end)
  return setmetatable({}, { __close = function()
    closed = true
    task:cancel()
  end })
end

local OPTIONS = { ping = "number", headers = "table" }

--- web.events(f [, opts]): a response that sends events while `f(send)` runs, in the handler's task.
-- send(text), or send{data =, event =, id =, retry =}: `data` that is not a string is sent as
-- JSON; `id` is what a reconnecting client sends in the header Last-Event-ID (browsers reconnect by
-- themselves); `retry` is how many milliseconds it waits before that. `send` suspends while the client
-- is behind; when the client goes away, `f` is cancelled.
--
-- @param opts headers, and ping: the seconds between two comments that keep the connection alive
-- (15; math.huge for none)
function M.events(f, opts)
  if type(f) ~= "function" then
    fail("bad argument #1 to 'ml.web.events' (function expected, got " .. type(f) .. ")")
  end
  opts = options.check(opts, OPTIONS, "ml.web.events")
  if opts.ping and (opts.ping <= 0 or opts.ping ~= opts.ping) then
    fail(options.wrong("ping", opts.ping, "a positive number of seconds", "ml.web.events"))
  end
  local res = response {
    headers = opts.headers or {},
    stream = function(out)
      local mailbox <close> = web.mailbox(out)
      local _ <close> = write_on(out, mailbox, opts.ping or PING)
      local function send(event)
        if type(event) == "string" then
          event = { data = event }
        elseif type(event) ~= "table" then
          fail("bad argument #1 to 'send' (string or table expected, got " .. type(event) .. ")")
        end
        check(event)
        send_letters(out, mailbox)
        out:write(format(event))
      end
      mailboxes[send] = mailbox
      f(send)
    end,
  }
  local headers = res.headers
  headers["Content-Type"] = headers["Content-Type"] or "text/event-stream"
  headers["Cache-Control"] = headers["Cache-Control"] or "no-cache"
  headers["X-Accel-Buffering"] = headers["X-Accel-Buffering"] or "no" -- otherwise nginx would buffer it
  return res
end

return M
