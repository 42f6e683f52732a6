--- A collector of OpenTelemetry in the specs: takes OTLP over HTTP as JSON, and keeps what it gets. It is on plain
-- TCP, so that nothing of it is traced itself.
local http = require "spec.support.http"
local json = require "moonloop.json"
local ml = require "moonloop"

local M = {}

local Collector = {}
Collector.__index = Collector

--- The value of an AnyValue.
local function value_of(any)
  if any.arrayValue then
    local list = {}
    for i, item in ipairs(any.arrayValue.values) do list[i] = value_of(item) end
    return list
  end
  if any.intValue then return math.tointeger(any.intValue) end
  local _, value = next(any)
  return value
end

--- A list of KeyValue as a table.
function M.attributes(list)
  local set = {}
  for _, item in ipairs(list or {}) do
    assert(set[item.key] == nil, "an attribute is there twice")
    set[item.key] = value_of(item.value)
  end
  return set
end

--- Starts one. `reply(body, n)` gives the response to request n, or nil: it is taken.
function M.start(reply)
  local c = setmetatable({ bodies = {}, heads = {}, spans = {}, sizes = {}, came = ml.event() }, Collector)
  c.server = http.serve(http.answering(function(head, body)
    local n = #c.bodies + 1
    c.heads[n], c.bodies[n] = head, body
    c.came:set()
    local response = reply and reply(body, n)
    if not response then c:take(body) end
    c.came:set()
    return response or http.ok("{}", "Content-Type: application/json\r\n")
  end))
  c.url = c.server.url
  return c
end

function Collector:take(body)
  local before = #self.spans
  for _, of_resource in ipairs(json.decode(body).resourceSpans) do
    self.resource = M.attributes(of_resource.resource.attributes)
    for _, of_scope in ipairs(of_resource.scopeSpans) do
      for _, span in ipairs(of_scope.spans) do
        span.set = M.attributes(span.attributes)
        table.insert(self.spans, span)
      end
    end
  end
  table.insert(self.sizes, #self.spans - before)
end

--- Waits until `f(self)` gives something, and gives that.
function Collector:wait_until(f)
  while true do
    local found = f(self)
    if found then return found end
    self.came:clear()
    self.came:wait()
  end
end

--- The span of that name, the only one.
function Collector:span(name)
  local found
  for _, span in ipairs(self.spans) do
    if span.name == name then
      assert(not found, "two spans are called " .. name)
      found = span
    end
  end
  return assert(found, "no span is called " .. name)
end

--- How many spans have that name.
function Collector:count(name)
  local n = 0
  for _, span in ipairs(self.spans) do
    if span.name == name then n = n + 1 end
  end
  return n
end

return M
