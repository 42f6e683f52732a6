--- What is exported, and where: the options of ml.trace.start over the standard variables of the environment.
-- https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
local core = require "moonloop.core"
local decode = require "moonloop.core.percent"
local options = require "moonloop.core.options"
local trim = require "moonloop.core.trim"

local M = {}

local PATH = "/v1/traces"
local DEFAULT_ENDPOINT = "http://localhost:4318"

local function is_ratio(value)
  if type(value) ~= "number" or not (value >= 0 and value <= 1) then return "a number from 0 to 1" end
end

local function is_count(value)
  if math.type(value) ~= "integer" or value < 1 or value > 1000000 then return "an integer from 1 to 1000000" end
end

local function is_time(value)
  if type(value) ~= "number" or not (value > 0 and value < math.huge) then return "a number of seconds above 0" end
end

local function is_url(value)
  if type(value) ~= "string" or not value:find "^https?://[^/?#]" then return "an http:// or https:// URL" end
end

local known = {
  endpoint = is_url, headers = "table", timeout = is_time, service = "string", resource = "table", sample = is_ratio,
  parent_based = "boolean", queue = is_count, batch = is_count, delay = is_time, ca = "string", cert = "string",
  key = "string",
}

-- --- the environment ---

--- A reader of the environment: read(name) is the variable's value, or nil for one that is empty; wrong(name,
-- value, expected) adds what is wrong with one to `problems`. `value` is nil for one that is not to be shown.
local function reader(getenv, problems)
  local function read(name)
    local value = trim(getenv(name) or "")
    return value ~= "" and value or nil
  end
  local function wrong(name, value, expected)
    value = value and ("%q"):format(value) or "(hidden)"
    problems[#problems + 1] = ("%s is %s (%s expected); it is ignored"):format(name, value, expected)
  end
  return read, wrong
end

--- "name=value,name=value", with percent-encoding, as a table; nil if it is malformed.
local function pairs_of(text)
  local set = {}
  for item in text:gmatch "[^,]+" do
    local name, value = item:match "^%s*([^=%s]+)%s*=%s*(.-)%s*$"
    if name then
      set[decode(name)] = decode(value)
    elseif item:find "%S" then
      return nil
    end
  end
  return set
end

-- OTEL_TRACES_SAMPLER: whether the parent decides, and the ratio of the others (true: the argument's).
local samplers = {
  always_on = { false, 1 },
  always_off = { false, 0 },
  traceidratio = { false, true },
  parentbased_always_on = { true, 1 },
  parentbased_always_off = { true, 0 },
  parentbased_traceidratio = { true, true },
}

local function sampler_of(read, wrong)
  local name = read "OTEL_TRACES_SAMPLER"
  if not name then return true, 1 end
  local sampler = samplers[name:lower()]
  if not sampler then
    wrong("OTEL_TRACES_SAMPLER", name, "always_on, always_off, traceidratio, or one of these after parentbased_")
    return true, 1
  end
  if sampler[2] ~= true then return sampler[1], sampler[2] end
  local text = read "OTEL_TRACES_SAMPLER_ARG"
  local ratio = tonumber(text or "1")
  if ratio and not is_ratio(ratio) then return sampler[1], ratio end
  wrong("OTEL_TRACES_SAMPLER_ARG", text, "a number from 0 to 1")
  return sampler[1], 1
end

--- The traces' own variable, or that of all signals, and its name.
local function exporter_variable(read, name)
  local own, all = "OTEL_EXPORTER_OTLP_TRACES_" .. name, "OTEL_EXPORTER_OTLP_" .. name
  local value = read(own)
  if value then return value, own end
  return read(all), all
end

--- environment(getenv) -> settings, problems. `settings.url` is nil if the environment asks for no traces,
-- `settings.disabled` is true if it forbids them. `problems` are texts about values that were ignored.
function M.environment(getenv)
  local problems = {}
  local read, wrong = reader(getenv, problems)

  local function number(name, text, check, expected, scale)
    if not text then return nil end
    local value = scale and tonumber(text) or math.tointeger(tonumber(text))
    value = value and scale and value * scale or value
    if value and not check(value) then return value end
    wrong(name, text, expected)
  end
  local function milliseconds(name, text) return number(name, text, is_time, "milliseconds above 0", 1e-3) end

  local s = { headers = {}, resource = {} }
  s.disabled = (read "OTEL_SDK_DISABLED" or ""):lower() == "true"
  s.parent_based, s.sample = sampler_of(read, wrong)

  local exporter = read "OTEL_TRACES_EXPORTER"
  local all, own = read "OTEL_EXPORTER_OTLP_ENDPOINT", read "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
  local function check_endpoint(name, url)
    local expected = url and is_url(url)
    if not expected then return url end
    wrong(name, url:gsub("[^/]*@", "(hidden)@"):gsub("%?.*", "?(hidden)"), expected)
  end
  all = check_endpoint("OTEL_EXPORTER_OTLP_ENDPOINT", all)
  own = check_endpoint("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", own)
  if exporter and exporter ~= "otlp" and exporter ~= "none" then
    wrong("OTEL_TRACES_EXPORTER", exporter, "otlp or none")
  elseif exporter == "otlp" and not all then
    all = DEFAULT_ENDPOINT
  end
  if exporter ~= "none" then s.url = own or (all and all:gsub("/+$", "") .. PATH) end

  local protocol, protocol_name = exporter_variable(read, "PROTOCOL")
  if protocol and protocol ~= "http/json" and protocol ~= "http/protobuf" then
    wrong(protocol_name, protocol, "http/json") -- collectors that take protobuf over HTTP take JSON, too
  end
  local headers, headers_name = exporter_variable(read, "HEADERS")
  if headers then s.headers = pairs_of(headers) or wrong(headers_name, nil, "name=value,name=value") or {} end
  local timeout, timeout_name = exporter_variable(read, "TIMEOUT")
  s.timeout = milliseconds(timeout_name, timeout)
  local most = milliseconds("OTEL_BSP_EXPORT_TIMEOUT", read "OTEL_BSP_EXPORT_TIMEOUT")
  if most and most < (s.timeout or math.huge) then s.timeout = most end
  s.ca = exporter_variable(read, "CERTIFICATE")
  s.cert = exporter_variable(read, "CLIENT_CERTIFICATE")
  s.key = exporter_variable(read, "CLIENT_KEY")

  s.delay = milliseconds("OTEL_BSP_SCHEDULE_DELAY", read "OTEL_BSP_SCHEDULE_DELAY")
  local function count(name) return number(name, read(name), is_count, "an integer from 1 to 1000000") end
  s.queue = count "OTEL_BSP_MAX_QUEUE_SIZE"
  s.batch = count "OTEL_BSP_MAX_EXPORT_BATCH_SIZE"

  local resource = read "OTEL_RESOURCE_ATTRIBUTES"
  if resource then
    s.resource = pairs_of(resource) or wrong("OTEL_RESOURCE_ATTRIBUTES", resource, "name=value,name=value") or {}
  end
  s.service = read "OTEL_SERVICE_NAME" or s.resource["service.name"]
  return s, problems
end

-- --- options ---

local function check_texts(name, set, may_be)
  for key, value in pairs(set) do
    if type(key) ~= "string" or not may_be[type(value)] then
      core.fail(("option '%s' of ml.trace.start: names and values expected, got %s = %s"):format(name,
        tostring(key), type(value)))
    end
  end
end

--- choose(opts, getenv) -> settings, problems: the options, then the environment, then the defaults.
function M.choose(opts, getenv)
  opts = options.check(opts, known, "ml.trace.start")
  check_texts("headers", opts.headers or {}, { string = true, number = true })
  check_texts("resource", opts.resource or {}, { string = true, number = true, boolean = true })
  local s, problems = M.environment(getenv)
  for name in pairs(known) do
    if opts[name] ~= nil and name ~= "resource" then s[name] = opts[name] end
  end
  for name, value in pairs(opts.resource or {}) do s.resource[name] = value end
  if opts.endpoint then s.url = opts.endpoint:gsub("/+$", "") .. PATH end
  s.url = s.url or DEFAULT_ENDPOINT .. PATH
  s.timeout = s.timeout or 10
  s.delay = s.delay or 5
  s.queue = s.queue or 2048
  s.batch = math.min(s.batch or 512, s.queue)
  s.service = s.service or "unknown_service:moonloop"
  return s, problems
end

return M
