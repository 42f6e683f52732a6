--- ml.metrics: counters, gauges and histograms, for Prometheus and its like. The work is done in C (host/metrics).
local core = require "moonloop.metrics.core"
local fail = require "moonloop.core".fail
local options = require "moonloop.core.options"

local M = {}

-- Seconds: those of OpenTelemetry's http.server.request.duration.
local BUCKETS = { .005, .01, .025, .05, .075, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10 }

local function is_finite(n) return type(n) == "number" and n == n and n > -math.huge and n < math.huge end

-- Nil for a list of names of labels; else what was expected.
local function wrong_labels(list)
  local expected = ("a list of at most %d names of letters, digits and _"):format(core.max_labels)
  if type(list) ~= "table" or #list > core.max_labels then return expected end
  local seen = {}
  for i = 1, #list do
    local name = list[i]
    if type(name) ~= "string" or not core.is_name(name, true) then return expected end
    if name == "le" then return "other names than le, which histograms have" end
    if seen[name] then return ("a list without '%s' twice"):format(name) end
    seen[name] = true
  end
end

local function wrong_buckets(list)
  local expected = ("a list of 1 to %d ascending numbers"):format(core.max_buckets)
  if type(list) ~= "table" or #list == 0 or #list > core.max_buckets then return expected end
  for i = 1, #list do
    if not is_finite(list[i]) or (i > 1 and list[i] <= list[i - 1]) then return expected end
  end
end

local ACROSS = { sum = true, max = true, min = true }
local function wrong_across(word)
  if not ACROSS[word] then return '"sum", "max" or "min"' end
end

local KNOWN = {
  counter = { labels = wrong_labels },
  gauge = { labels = wrong_labels, across = wrong_across },
  histogram = { labels = wrong_labels, buckets = wrong_buckets },
}

-- OpenTelemetry's dots are underscores where Prometheus reads them.
local function check_name(name, whose)
  if type(name) ~= "string" then
    fail(("bad argument #1 to '%s' (string expected, got %s)"):format(whose, type(name)))
  end
  local shown = name:gsub("%.", "_")
  if not core.is_name(shown) then
    fail(("%s: '%s' is no name of a metric: letters, digits, _, : and . expected"):format(whose, name))
  end
  return shown
end

local function define(kind, name, help, opts)
  local whose = "ml.metrics." .. kind
  name = check_name(name, whose)
  if type(help) ~= "string" or help:find "\0" or not utf8.len(help) then
    fail(("bad argument #2 to '%s' (a text of UTF-8 that explains the metric expected)"):format(whose))
  end
  opts = options.check(opts, KNOWN[kind], whose)
  if kind == "counter" and not name:find "_total$" then name = name .. "_total" end
  local buckets = kind == "histogram" and (opts.buckets or BUCKETS) or nil
  return core.define(kind, name, help, opts.labels or {}, buckets, opts.across or "sum")
end

function M.counter(name, help, opts) return define("counter", name, help, opts) end

function M.gauge(name, help, opts) return define("gauge", name, help, opts) end

function M.histogram(name, help, opts) return define("histogram", name, help, opts) end

--- histogram:time(f, ...): calls it, and observes how many seconds that took, also where it raises.
function core.histogram_methods.time(self, f, ...)
  local _ <close> = core.timer(self)
  return f(...)
end

--- All metrics as text, and its media type. `accept`: the Accept header of who asks, or nil.
function M.text(accept)
  if accept ~= nil and type(accept) ~= "string" then
    fail(("bad argument #1 to 'ml.metrics.text' (string or nil expected, got %s)"):format(type(accept)))
  end
  local open = core.wants_open(accept)
  return core.text(open), open and core.open_type or core.text_type
end

return M
