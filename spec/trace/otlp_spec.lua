-- What is exported, against the messages of OpenTelemetry's protocol.
local collectors = require "spec.support.collector"
local folders = require "spec.support.folder"
local http = require "spec.support.http"
local ml = require "moonloop"
local npm = require "spec.support.npm"
local web = require "spec.support.web"

npm.block(describe, pending, "a request to a collector", function()
  it("is one of OTLP: its keys, ids, enums and integers", function()
    local trace, collector = ml.trace, collectors.start()
    trace.start {
      endpoint = collector.url, delay = 3600, resource = { a = 1, b = 1.5, c = true, d = "x" }, service = "spec",
    }
    local parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    trace.continue(parent, "a=1", trace.span, "work", function()
      local span = trace.current()
      span:set { text = "é\xff", whole = math.mininteger, part = 1e300, yes = false, list = { 1, 2.5, "x", true } }
      span:set { infinite = math.huge, negative = -math.huge, none = 0 / 0, empty = {} }
      for i = 1, 200 do span:set("n" .. i, i):event("event " .. i, { i = i }) end
      pcall(trace.span, "fails", error, { kind = "what" })
      trace.span("is well", function() trace.current():status("ok", "unused") end)
    end)
    local app = ml.web.app()
    app:get("/{id}", function() return {} end)
    web.serving(app, function(port)
      assert(ml.http.get(("http://127.0.0.1:%d/7?a=b"):format(port)))
    end)
    assert(trace.stop())
    http.stop()
    assert.equal(5, #collector.spans)
    local file <close> = folders.file(collector.bodies[1])
    assert.equal("done\n", npm.run("otlp.mjs", file.path))
    for from, to in pairs { -- and the check is one
      ['"kind":1'] = '"kind":"SPAN_KIND_INTERNAL"', ['"intValue":"1"'] = '"intValue":1', ['"flags"'] = '"Flags"',
      ["b7ad6b7169203331"] = "t61rcWkgMzE=", ['"endTimeUnixNano":"'] = '"endTimeUnixNano":"x',
    } do
      local wrong <close> = folders.file((collector.bodies[1]:gsub(from, to)))
      assert.matches("refused\n$", npm.run("otlp.mjs", wrong.path))
    end
  end)
end)
