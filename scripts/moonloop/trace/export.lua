--- Sends spans to a collector: OTLP over HTTP, as JSON. It runs as a task in the background, in which nothing is
-- traced.
local core = require "moonloop.core"
local http = require "moonloop.http"
local json = require "moonloop.json"
local retry = require "moonloop.http.retry"
local rejected = require "moonloop.trace.rejected"
local sorted_keys = require "moonloop.core.sorted_keys"
local trace = require "moonloop.trace.core"

local M = {}

local FIRST_PAUSE, LONGEST_PAUSE = 1, 30 -- seconds between tries
local MOST_ASKED = 3600 -- seconds that a Retry-After may ask for

local settings -- what `use` was given
local client, prefix, suffix -- made of it
local flushes = {} -- futures of those who wait until what is queued now is sent

--- A value of Lua as OTLP's AnyValue.
local function any_value(value)
  if type(value) == "boolean" then return { boolValue = value } end
  if math.type(value) == "integer" then return { intValue = tostring(value) } end
  if type(value) == "number" then return { doubleValue = value } end
  return { stringValue = value }
end

--- What all spans of this process have in common, as a JSON list of KeyValue.
local function resource(s, version, pid, machine)
  local set = {
    ["host.name"] = machine ~= "" and machine or nil,
    ["process.pid"] = pid,
    ["telemetry.sdk.language"] = "lua",
    ["telemetry.sdk.name"] = "moonloop",
    ["telemetry.sdk.version"] = version,
  }
  for name, value in pairs(s.resource) do set[name] = value end
  set["service.name"] = s.service
  local list = {}
  for i, name in ipairs(sorted_keys(set)) do list[i] = { key = name, value = any_value(set[name]) } end
  return json.encode(list)
end

--- From now on spans are sent as the settings say.
function M.use(s)
  local version, pid, machine = trace.process()
  local new = http.client {
    headers = s.headers, timeout = s.timeout, ca = s.ca, cert = s.cert, key = s.key, follow_redirects = false,
    max_connections = 1, max_body = 65536,
  }
  if client then client:close() end
  settings, client = s, new
  prefix = ('{"resourceSpans":[{"resource":{"attributes":%s},"scopeSpans":[{"scope":{"name":"moonloop","version":%s},'
    .. '"spans":['):format(resource(s, version, pid, machine), json.encode(version))
  suffix = "]}]}]}"
end

--- The collector's URL for messages: without a user, a password and a query.
local function shown()
  return (settings.url:gsub("^(%w+://)[^/?#]*@", "%1"):gsub("[?#].*", ""))
end

local function report(text, ...) trace.report(("traces: " .. text):format(...)) end

--- Tries once. Returns true if the batch is done with, or false, what went wrong, and the response if there was one.
local function try(text, count)
  local res, err = client:post(settings.url, { body = text, headers = { ["Content-Type"] = "application/json" } })
  if not res then return false, ("%s: %s"):format(shown(), (err.message:gsub("^%u+ %S+: ", ""))) end
  if res.status >= 200 and res.status < 300 then
    local refused, why = rejected(res.body, count)
    if refused > 0 then report("%s has refused %d of %d spans: %s", shown(), refused, count, why) end
    trace.settle(count - refused, refused)
    return true
  end
  if retry.passing[res.status] then return false, ("%s has answered %d"):format(shown(), res.status), res end
  trace.settle(0, count)
  report("%s has refused %d spans: %d %s", shown(), count, res.status, res.body:sub(1, 200):gsub("%c", " "))
  return true
end

local function settle_flushes(...)
  local waiting = flushes
  flushes = {}
  for _, future in ipairs(waiting) do future:resolve(...) end
end

local failing -- or how many spans had been dropped when that began

--- Sends the spans, however often it has to be tried. Returns false if it may not be tried again.
local function send(spans, count)
  local text = prefix .. spans .. suffix
  local pause = FIRST_PAUSE
  while true do
    local done, why, res = try(text, count)
    if done then
      local dropped = failing and trace.counts().dropped - failing
      if failing then report("%s takes spans again; %d were dropped meanwhile", shown(), dropped) end
      failing = nil
      return true
    end
    if not failing then report("%s; it is tried again until it works", why) end
    failing = failing or trace.counts().dropped
    settle_flushes(nil, core.error { kind = "network", message = why })
    local asked = math.min(res and retry.asked_wait(res) or 0, MOST_ASKED)
    local seconds = math.max(pause * (0.5 + math.random() / 2), asked)
    if not trace.pause(seconds) then return false end
    pause = math.min(pause * 2, LONGEST_PAUSE)
  end
end

--- Sends what waits.
local function send_all()
  while true do
    local spans, count = trace.take()
    if not spans then return trace.counts().queued == 0 or trace.pause(FIRST_PAUSE) end -- or memory is out
    if not send(spans, count) then return false end
  end
end

--- The body of the task.
function M.run()
  while true do
    local why = trace.wait()
    local goes_on = send_all()
    settle_flushes(true)
    if not goes_on or why == "end" then return end
  end
end

--- flush(seconds) -> true | nil, err: waits until what is queued now has been sent, or a try has failed.
function M.flush(seconds)
  local future = core.future()
  flushes[#flushes + 1] = future
  trace.hurry()
  return core.timeout(seconds, future.await, future)
end

--- Nothing is sent any more.
function M.close()
  settle_flushes(nil, core.error { kind = "closed", message = "ml.trace was stopped" })
  if client then client:close() end
  client, failing = nil, nil
end

return M
