-- ml.trace.span: spans, their attributes and events, errors in them, and whose child they are.
local collectors = require "spec.support.collector"
local http = require "spec.support.http"
local ml = require "moonloop"
local process = require "spec.support.process"

local trace = ml.trace

--- `f` raises what has `pattern`, with a line of this file.
local function raises(pattern, f, ...)
  local ok, err = pcall(f, ...)
  assert.is_false(ok)
  assert.matches("span_spec.lua:%d+: .*" .. pattern, tostring(err))
end

describe("without a collector", function()
  it("a span only calls its function", function()
    assert.same({ 1, nil, 3, n = 3 }, table.pack(trace.span("name", function(...) return ... end, 1, nil, 3)))
    assert.same({ n = 0 }, table.pack(trace.span("name", { a = 1 }, function() end)))
    local problem = {}
    local ok, err = pcall(trace.span, "name", error, problem)
    assert.is_false(ok)
    assert.equal(problem, err)
    assert.equal(7, trace.continue("00-x", nil, function() ml.sleep(0) return 7 end))
  end)

  it("the current span does nothing", function()
    local span = trace.current()
    assert.equal(span, span:set("a", 1):set { b = 2 }:event("c"):status("ok"):rename "d")
    assert.is_false(span:recorded())
    assert.is_nil(span:ids())
    assert.is_nil(span:traceparent())
    assert.is_true(trace.flush())
    assert.is_true(trace.stop())
  end)

  it("mistakes are still told", function()
    raises("bad argument #1 to 'ml.trace.span' %(string expected, got number", trace.span, 1, print)
    raises("bad argument #2 to 'ml.trace.span'", trace.span, "name", "what")
    raises("bad argument #3 to 'ml.trace.span'", trace.span, "name", {})
    raises("bad argument #3 to 'ml.trace.continue'", trace.continue, nil, nil)
    raises("name, or a table", function() trace.current():set(1) end)
    raises("the attribute 'f' is a function %(a string, a number", function() trace.current():set("f", print) end)
    raises("the attribute 'f' is a table", function() trace.current():event("e", { f = { {} } }) end)
    raises('"ok", "error" or "unset" expected', function() trace.current():status "good" end)
  end)
end)

describe("a span", function()
  local collector

  before_each(function()
    collector = collectors.start()
    trace.start { endpoint = collector.url, service = "spec", delay = 3600 }
  end)

  after_each(function()
    assert(trace.stop())
    http.stop()
  end)

  local function sent(name)
    assert(trace.flush())
    return collector:span(name)
  end

  it("has a name, times, ids and the results of its function", function()
    local before = ml.time.now()
    local results = table.pack(trace.span("work", function(...)
      ml.sleep(0.001)
      return ...
    end, 1, nil, 3))
    assert.same({ 1, nil, 3, n = 3 }, results)
    local span = sent "work"
    assert.matches("^" .. ("%x"):rep(32) .. "$", span.traceId)
    assert.matches("^" .. ("%x"):rep(16) .. "$", span.spanId)
    assert.is_nil(span.parentSpanId)
    assert.equal(1, span.kind)
    local from, to = math.tointeger(span.startTimeUnixNano), math.tointeger(span.endTimeUnixNano)
    assert.is_true(to - from >= 1000000)
    assert.is_true(from / 1e9 >= before - 0.1 and to / 1e9 <= ml.time.now() + 0.1)
    assert.is_nil(span.status)
    assert.equal("spec", collector.resource["service.name"])
  end)

  it("is the parent of those in it, and in the tasks that it starts", function()
    trace.span("outer", function()
      trace.span("inner", function() end)
      ml.gather({ trace.span, "first", ml.sleep, 0 }, function() trace.span("second", ml.sleep, 0) end)
      ml.spawn(function() ml.spawn(trace.span, "grandchild", ml.sleep, 0):await() end):await()
    end)
    trace.span("other", function() end)
    local outer, other = sent "outer", collector:span "other"
    for _, name in ipairs { "inner", "first", "second", "grandchild" } do
      local span = collector:span(name)
      assert.equal(outer.spanId, span.parentSpanId, name)
      assert.equal(outer.traceId, span.traceId, name)
    end
    assert.not_equal(outer.traceId, other.traceId)
    assert.is_nil(other.parentSpanId)
  end)

  it("is its task's alone, while others have theirs", function()
    local function work(name)
      trace.span(name, function()
        local id = trace.current():ids()
        for _ = 1, 3 do
          ml.sleep(0)
          assert.equal(id, (trace.current():ids()))
        end
        trace.span(name .. " child", ml.sleep, 0)
      end)
      assert.is_nil(trace.current():ids())
    end
    ml.gather({ work, "a" }, { work, "b" })
    assert.equal(sent("a").spanId, collector:span("a child").parentSpanId)
    assert.equal(collector:span("b").spanId, collector:span("b child").parentSpanId)
  end)

  it("has attributes of all types, of which the last of a name counts", function()
    trace.span("work", { text = "hé\xff", whole = 1, part = 0.5, yes = true, list = { 1, "b", false } }, function()
      trace.current():set("whole", 2):set { more = "x", nothing = nil, text = "again" }:set("none", nil)
    end)
    assert.same({ text = "again", whole = 2, part = 0.5, yes = true, list = { 1, "b", false }, more = "x" },
      sent("work").set)
  end)

  it("replaces bytes that are not UTF-8, cuts long texts, and counts what is too much", function()
    trace.span("work", { bad = "a\xffb\"\\\n", long = ("é"):rep(5000) }, function()
      for i = 1, 200 do trace.current():set("n" .. i, i) end
    end)
    local span = sent "work"
    assert.equal('a\u{fffd}b"\\\n', span.set.bad)
    assert.equal(("é"):rep(2048), span.set.long)
    assert.equal(128, #span.attributes)
    assert.equal(74, span.droppedAttributesCount)
  end)

  it("has events, a status, and another name if it is renamed", function()
    trace.span("work", function()
      local span = trace.current()
      assert.is_true(span:recorded())
      span:event("cache miss", { key = "a" }):event("again"):status("error", "no luck"):rename "GET a"
    end)
    local span = sent "GET a"
    assert.same({ "cache miss", "again" }, { span.events[1].name, span.events[2].name })
    assert.same({ key = "a" }, collectors.attributes(span.events[1].attributes))
    assert.is_true(math.tointeger(span.events[1].timeUnixNano) >= math.tointeger(span.startTimeUnixNano))
    assert.same({ code = 2, message = "no luck" }, span.status)
  end)

  it("has the error that its function raises, which goes on unchanged", function()
    local problem = setmetatable({}, { __tostring = function() return "the problem" end })
    local ok, err = pcall(trace.span, "work", function()
      ml.sleep(0)
      error(problem)
    end)
    assert.is_false(ok)
    assert.equal(problem, err)
    local span = sent "work"
    assert.same({ code = 2, message = "the problem" }, span.status)
    local event = collectors.attributes(span.events[1].attributes)
    assert.equal("exception", span.events[1].name)
    assert.equal("the problem", event["exception.message"])
    assert.equal("table", event["exception.type"])
    assert.matches("span_spec.lua:%d+: in function", event["exception.stacktrace"])
    assert.equal("table", span.set["error.type"])
  end)

  it("has the error that its function returns behind a nil", function()
    local result, err = trace.span("work", function() return ml.timeout(0, ml.sleep, 1) end)
    assert.is_nil(result)
    assert.equal("timeout", err.kind)
    local span = sent "work"
    assert.equal(2, span.status.code)
    assert.equal("timeout", span.set["error.type"])
  end)

  it("of a cancelled task says so, which is no error", function()
    local task = ml.spawn(trace.span, "work", ml.sleep, 3600)
    ml.sleep(0)
    task:cancel()
    pcall(task.await, task)
    local span = sent "work"
    assert.is_true(span.set["moonloop.cancelled"])
    assert.is_nil(span.status)
  end)

  it("in a generator is over when it returns, and is let go if it never does", function()
    local step = coroutine.wrap(function()
      trace.span("whole", function() coroutine.yield(1) end)
      trace.span("left", function() coroutine.yield(2) end)
    end)
    assert.equal(1, step())
    assert.equal(2, step())
    step = nil -- luacheck: ignore
    collectgarbage()
    assert.equal("whole", sent("whole").name)
    assert.equal(0, collector:count "left")
  end)

  it("with a wrong attribute is none, and the task's is as before", function()
    raises("the attribute 'f' is a function", trace.span, "work", { f = print }, print)
    assert.is_nil(trace.current():ids())
  end)

  it("goes on a trace of another program", function()
    local parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    local inner, state = trace.continue(parent, " a=1,, b=2 ", function()
      assert.equal(parent, (trace.current():traceparent()))
      assert.is_false(trace.current():recorded())
      return trace.span("work", function() return trace.current():traceparent() end)
    end)
    assert.is_nil(trace.current():ids())
    local span = sent "work"
    assert.equal("0af7651916cd43dd8448eb211c80319c", span.traceId)
    assert.equal("b7ad6b7169203331", span.parentSpanId)
    assert.equal("a=1,b=2", span.traceState)
    assert.equal(0x301, span.flags)
    assert.equal(("00-%s-%s-01"):format(span.traceId, span.spanId), inner)
    assert.equal("a=1,b=2", state)
  end)

  it("is not recorded where the other program has not sampled the trace", function()
    trace.continue("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00", nil, function()
      trace.span("hidden", function()
        assert.is_false(trace.current():recorded())
        assert.equal("0af7651916cd43dd8448eb211c80319c", (trace.current():ids()))
        assert.matches("%-00$", (trace.current():traceparent()))
        trace.span("hidden too", ml.sleep, 0)
      end)
    end)
    trace.span("seen", function() end)
    assert(trace.flush())
    local names = {}
    for i, span in ipairs(collector.spans) do names[i] = span.name end
    assert.same({ "seen" }, names)
  end)
end)

describe("sampling", function()
  after_each(http.stop)

  it("by a ratio takes about so many traces, each of them whole", function()
    local collector = collectors.start()
    trace.start { endpoint = collector.url, sample = 0.25, delay = 3600, queue = 10000 }
    for _ = 1, 2000 do
      trace.span("outer", function() trace.span("inner", function() end) end)
    end
    assert(trace.flush())
    assert(trace.stop())
    local outer = collector:count "outer"
    assert.is_true(outer > 350 and outer < 650, outer .. " of 2000") -- 500 +- 8 standard deviations
    assert.equal(outer, collector:count "inner")
  end)

  it("with 0 takes those that another program has sampled, unless the parent does not count", function()
    local parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    for _, by_parent in ipairs { true, false } do
      local collector = collectors.start()
      trace.start { endpoint = collector.url, sample = 0, parent_based = by_parent, delay = 3600 }
      trace.span("own", function() end)
      trace.continue(parent, nil, trace.span, "other", function() end)
      assert(trace.stop())
      assert.equal(0, collector:count "own")
      assert.equal(by_parent and 1 or 0, collector:count "other")
    end
  end)
end)

it("an error in a span keeps its traceback to the top", function()
  local output, status = process.run [[
    ml.trace.start { endpoint = "http://127.0.0.1:9", delay = 3600 }
    ml.trace.span("work", function()
      local function inner() error "the problem" end
      inner()
    end)
  ]]
  assert.equal(1, status)
  assert.matches("SCRIPT:4: the problem\n.*SCRIPT:4: in %a+ '?inner.*SCRIPT:5: in function.*'ml.trace.span'", output)
end)
