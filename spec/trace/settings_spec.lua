-- The settings of the export: the environment's variables, and the options over them.
local settings = require "moonloop.trace.settings"
local ml = require "moonloop"

local function choose(environment, opts)
  return settings.choose(opts, function(name) return environment[name] end)
end

--- `f` raises what has `pattern`, with a line of this file.
local function raises(pattern, opts)
  local ok, err = pcall(function() ml.trace.start(opts) end)
  assert.is_false(ok)
  assert.matches("settings_spec.lua:%d+: .*" .. pattern, tostring(err))
end

describe("the settings of the export", function()
  it("have the defaults of OpenTelemetry", function()
    local s, problems = choose {}
    assert.same({}, problems)
    assert.same({
      url = "http://localhost:4318/v1/traces", timeout = 10, delay = 5, queue = 2048, batch = 512, sample = 1,
      parent_based = true, headers = {}, resource = {}, service = "unknown_service:moonloop", disabled = false,
    }, s)
  end)

  it("are those of the environment, those of traces before those of all signals", function()
    local s, problems = choose {
      OTEL_EXPORTER_OTLP_ENDPOINT = "http://a:1/base/", OTEL_EXPORTER_OTLP_TIMEOUT = "2500",
      OTEL_EXPORTER_OTLP_HEADERS = "a=1", OTEL_EXPORTER_OTLP_TRACES_HEADERS = " x-key = a%20b%2C , b=c=d,",
      OTEL_EXPORTER_OTLP_CERTIFICATE = "ca.pem", OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE = "c.pem",
      OTEL_EXPORTER_OTLP_CLIENT_KEY = "k.pem", OTEL_SERVICE_NAME = "shop", OTEL_BSP_SCHEDULE_DELAY = "250",
      OTEL_RESOURCE_ATTRIBUTES = "a.b=c%3D,service.name=other", OTEL_BSP_MAX_QUEUE_SIZE = "100",
      OTEL_BSP_MAX_EXPORT_BATCH_SIZE = "200", OTEL_TRACES_SAMPLER = "ParentBased_TraceIdRatio",
      OTEL_TRACES_SAMPLER_ARG = "0.01", OTEL_EXPORTER_OTLP_PROTOCOL = "http/protobuf", OTEL_TRACES_EXPORTER = "otlp",
    }
    assert.same({}, problems)
    assert.same({
      url = "http://a:1/base/v1/traces", timeout = 2.5, delay = 0.25, queue = 100, batch = 100, sample = 0.01,
      parent_based = true, headers = { ["x-key"] = "a b,", b = "c=d" }, service = "shop", ca = "ca.pem",
      cert = "c.pem", key = "k.pem", resource = { ["a.b"] = "c=", ["service.name"] = "other" }, disabled = false,
    }, s)
    assert.equal("http://b/path?x", choose {
      OTEL_EXPORTER_OTLP_ENDPOINT = "http://a", OTEL_EXPORTER_OTLP_TRACES_ENDPOINT = "http://b/path?x",
    }.url)
    assert.equal("other", choose { OTEL_RESOURCE_ATTRIBUTES = "service.name=other" }.service)
    assert.equal(3, choose { OTEL_EXPORTER_OTLP_TIMEOUT = "9000", OTEL_BSP_EXPORT_TIMEOUT = "3000" }.timeout)
  end)

  it("know all samplers", function()
    for name, expected in pairs {
      always_on = { false, 1 }, always_off = { false, 0 }, traceidratio = { false, 0.5 },
      parentbased_always_on = { true, 1 }, parentbased_always_off = { true, 0 },
      parentbased_traceidratio = { true, 0.5 },
    } do
      local s = choose { OTEL_TRACES_SAMPLER = name, OTEL_TRACES_SAMPLER_ARG = "0.5" }
      assert.same(expected, { s.parent_based, s.sample }, name)
    end
    assert.equal(1, choose { OTEL_TRACES_SAMPLER = "traceidratio" }.sample)
  end)

  it("are the options' where there are any", function()
    local s = choose({
      OTEL_EXPORTER_OTLP_TRACES_ENDPOINT = "http://b/path", OTEL_SERVICE_NAME = "shop",
      OTEL_RESOURCE_ATTRIBUTES = "a=1,b=2", OTEL_BSP_MAX_QUEUE_SIZE = "7",
    }, { endpoint = "https://c/", resource = { b = true }, sample = 0, parent_based = false, queue = 9 })
    assert.equal("https://c/v1/traces", s.url)
    assert.same({ a = "1", b = true }, s.resource)
    assert.same({ 0, false, 9, 9, "shop" }, { s.sample, s.parent_based, s.queue, s.batch, s.service })
  end)

  it("say whether the environment asks for the export", function()
    local function asks(environment)
      return settings.environment(function(name) return environment[name] end).url
    end
    assert.is_nil(asks {})
    assert.is_nil(asks { OTEL_EXPORTER_OTLP_ENDPOINT = " " })
    assert.is_nil(asks { OTEL_EXPORTER_OTLP_ENDPOINT = "http://a", OTEL_TRACES_EXPORTER = "none" })
    assert.equal("http://localhost:4318/v1/traces", asks { OTEL_TRACES_EXPORTER = "otlp" })
    assert.equal("http://a/v1/traces", asks { OTEL_EXPORTER_OTLP_ENDPOINT = "http://a" })
  end)

  it("leave out values that make no sense, and say so", function()
    for name, value in pairs {
      OTEL_EXPORTER_OTLP_ENDPOINT = "a:4317", OTEL_EXPORTER_OTLP_TRACES_ENDPOINT = "grpc://a",
      OTEL_EXPORTER_OTLP_TIMEOUT = "-1", OTEL_RESOURCE_ATTRIBUTES = "=b",
      OTEL_BSP_SCHEDULE_DELAY = "soon", OTEL_BSP_MAX_QUEUE_SIZE = "0", OTEL_BSP_MAX_EXPORT_BATCH_SIZE = "1.5",
      OTEL_TRACES_SAMPLER = "some", OTEL_EXPORTER_OTLP_PROTOCOL = "grpc", OTEL_TRACES_EXPORTER = "console",
    } do
      local s, problems = choose { [name] = value }
      assert.equal(1, #problems, name)
      local quoted = value:gsub("%p", "%%%0")
      assert.matches(("^%s is \"%s\" %%(.* expected%%); it is ignored$"):format(name, quoted), problems[1])
      assert.same(choose {}, s)
    end
    local s, problems = choose { OTEL_TRACES_SAMPLER = "traceidratio", OTEL_TRACES_SAMPLER_ARG = "2" }
    assert.equal(1, #problems)
    assert.equal(1, s.sample)
  end)

  it("leave out malformed headers and endpoints without showing what is secret in them", function()
    for name, value in pairs {
      OTEL_EXPORTER_OTLP_HEADERS = "x-api-key: hunter2", OTEL_EXPORTER_OTLP_TRACES_HEADERS = "a=b,hunter2",
      OTEL_EXPORTER_OTLP_ENDPOINT = "ftp://me:hunter2@there/", OTEL_EXPORTER_OTLP_TRACES_ENDPOINT = "there?key=hunter2",
    } do
      local s, problems = choose { [name] = value }
      assert.equal(1, #problems, name)
      assert.matches("^" .. name .. " is .*%(hidden%).* expected%); it is ignored$", problems[1])
      assert.is_nil(problems[1]:find("hunter2", 1, true))
      assert.same(choose {}, s)
    end
  end)

  it("are wrong where an option is", function()
    raises("unknown option 'url' of ml.trace.start", { url = "http://a" })
    raises("'endpoint' of ml.trace.start is a string %(expected an http:// or https:// URL", { endpoint = "a:4318" })
    raises("'sample' of ml.trace.start is 2 %(expected a number from 0 to 1", { sample = 2 })
    raises("'queue' of ml.trace.start is 0 ", { queue = 0 })
    raises("'delay' of ml.trace.start is 0 ", { delay = 0 })
    raises("'resource' of ml.trace.start: names and values expected, got a = table", { resource = { a = {} } })
    raises("'headers' of ml.trace.start: names and values expected, got 1 = string", { headers = { "a" } })
    local ok, err = pcall(ml.trace.flush, -1)
    assert.is_false(ok)
    assert.matches("argument 'seconds' of ml.trace.flush is %-1", tostring(err))
  end)
end)
