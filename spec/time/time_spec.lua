-- The time of day, dates as text, and beats.
local ml = require "moonloop"
local clock = require "moonloop.clock"
local web = require "spec.support.web"

describe("ml.time.now", function()
  it("is the machine's time of day, with a fraction", function()
    local before, now = os.time(), ml.time.now()
    assert.is_true(math.type(now) == "float" and now >= before and now <= os.time() + 1)
  end)

  it("is that again after the virtual clock", function()
    clock.virtual()
    ml.sleep(86400)
    assert.is_true(ml.time.now() > os.time() + 80000)
    clock.real()
    local before, now = os.time(), ml.time.now()
    assert.is_true(now >= before and now <= os.time() + 1)
  end)

  it("goes on with ml.now under the virtual clock", function()
    clock.virtual()
    local day, loop = ml.time.now(), ml.now()
    ml.sleep(3600)
    local passed = ml.now() - loop
    assert.is_true(passed >= 3600)
    assert.is_true(math.abs(ml.time.now() - day - passed) < 1e-5)
  end)

  it("stands still under the virtual clock while a task computes, and never goes back", function()
    clock.virtual()
    local day = ml.time.now()
    for _ = 1, 20000 do assert(ml.time.now() == day) end
  end)

  it("is the time of whatever expires", function()
    clock.virtual()
    local key = ("k"):rep(32)
    local token = assert(ml.jwt.sign({}, key, { expires_in = 60 }))
    local wanted = { algorithms = { "HS256" }, key = key }
    assert(ml.jwt.verify(token, wanted))
    local signer = ml.web.signer(key, { max_age = 60 })
    local signed = signer:sign "value"
    assert.equal("value", signer:verify(signed))
    ml.sleep(3600)
    assert.equal("expired", select(2, ml.jwt.verify(token, wanted)).code)
    assert.equal("EXPIRED", select(2, signer:verify(signed)).code)
  end)

  it("is the time of the server's Date header", function()
    clock.virtual()
    ml.sleep(86400)
    local app = ml.web.app()
    app:get("/", function() return "here" end)
    web.serving(app, function(port)
      local res = assert(ml.http.get("http://127.0.0.1:" .. port))
      assert.is_true(math.abs(ml.time.parse(res.headers.date) - ml.time.now()) < 60)
    end)
  end)

  it("works in jobs", function()
    assert.is_true(ml.executor.run(function()
      local time = require "moonloop".time
      return time.now() > 1e9 and time.format(0) == "1970-01-01T00:00:00Z"
    end))
  end)
end)

describe("ml.time.format", function()
  it("writes RFC 3339, in UTC", function()
    assert.equal("1970-01-01T00:00:00Z", ml.time.format(0, "rfc3339"))
    assert.equal("2026-11-29T04:05:06Z", ml.time.format(1795925106))
    assert.equal("2026-11-29T04:05:06Z", ml.time.format(1795925106.0))
    assert.equal("2026-11-29T04:05:06.250000Z", ml.time.format(1795925106.25))
    assert.equal("1969-12-31T23:59:59.500000Z", ml.time.format(-0.5))
    assert.equal("2000-02-29T00:00:00Z", ml.time.format(951782400))
    assert.equal("0000-01-01T00:00:00Z", ml.time.format(-62167219200))
    assert.equal("9999-12-31T23:59:59Z", ml.time.format(253402300799))
    assert.equal("1970-01-01T00:00:02Z", ml.time.format(1.9999999))
  end)

  it("writes the date of HTTP", function()
    assert.equal("Thu, 01 Jan 1970 00:00:00 GMT", ml.time.format(0, "http"))
    assert.equal("Sun, 29 Nov 2026 04:05:06 GMT", ml.time.format(1795925106.9, "http"))
    assert.equal("Wed, 31 Dec 1969 23:59:59 GMT", ml.time.format(-0.1, "http"))
  end)

  it("refuses what it cannot write", function()
    for _, t in ipairs { 1e300, -1e300, 0 / 0, math.huge, 253402300800 } do
      assert.error_matches(function() ml.time.format(t) end, "a moment of the years 0 to 9999 expected")
      assert.error_matches(function() ml.time.format(t, "http") end, "a moment of the years 0 to 9999 expected")
    end
    assert.error_matches(function() ml.time.format "now" end, "number of seconds expected, got string")
    assert.error_matches(function() ml.time.format(0, "iso") end, '"rfc3339" or "http" expected, got "iso"')
  end)
end)

describe("ml.time.parse", function()
  it("reads RFC 3339", function()
    for text, seconds in pairs {
      ["1970-01-01T00:00:00Z"] = 0, ["1970-01-01t00:00:00z"] = 0, ["2026-11-29T04:05:06Z"] = 1795925106,
      ["2026-11-29T05:05:06+01:00"] = 1795925106, ["2026-11-28T20:05:06-08:00"] = 1795925106,
      ["1969-12-31T23:59:59Z"] = -1, ["2016-12-31T23:59:60Z"] = 1483228800,
      ["0000-01-01T00:00:00Z"] = -62167219200,
    } do
      local read = ml.time.parse(text)
      assert.equal(seconds, read, text)
      assert.equal("integer", math.type(read))
    end
    assert.equal(1795925106.25, ml.time.parse "2026-11-29T04:05:06.25Z")
    assert.equal("float", math.type(ml.time.parse "2026-11-29T04:05:06.0Z"))
  end)

  it("reads the three forms of HTTP", function()
    for _, text in ipairs { "Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT",
      "Sun Nov  6 08:49:37 1994" } do
      assert.equal(784111777, ml.time.parse(text), text)
    end
  end)

  it("reads what format has written", function()
    for _, t in ipairs { 0, 1, -1, 951782400, 1795925106, 253402300799, -62167219200, 4102444800 } do
      assert.equal(t, ml.time.parse(ml.time.format(t)))
      assert.equal(t, ml.time.parse(ml.time.format(t, "http")))
    end
    local now = ml.time.now()
    assert.is_true(math.abs(ml.time.parse(ml.time.format(now)) - now) < 1e-6)
  end)

  it("says what is wrong with another text", function()
    for text, fault in pairs {
      [""] = "input is too short", ["2026"] = "input is too short", ["2026-13-01T00:00:00Z"] = "month value",
      ["2026-02-29T00:00:00Z"] = "day value", ["2026-02-28T24:00:00Z"] = "hour value",
      ["2026-02-28T00:60:00Z"] = "minute value", ["2026-02-28T00:00:61Z"] = "second value",
      ["2026-02-28T12:00:60Z"] = "second value", ["2026-02-28T00:00:00"] = "no time zone",
      ["2026-02-28 00:00:00Z"] = "separator", ["2026-02-28T00:00:00+24:00"] = "offset",
      ["2026-02-28T00:00:00.Z"] = "fraction", ["2026-02-28T00:00:00Z "] = "extra characters",
      ["2026-02-28T00:00:00+0100"] = "too short",
      ["today"] = "expected \"2026", ["Sun, 31 Feb 2026 04:05:06 GMT"] = "expected \"2026",
      ["Sun, 29 Nov 2026 04:05:06 CET"] = "expected \"2026", ["\0\r\n"] = '"%?%?%?" is not a date',
      [("x"):rep(1000)] = '"' .. ("x"):rep(60) .. '..." is not a date',
    } do
      local seconds, err = ml.time.parse(text)
      assert.is_nil(seconds, text)
      assert.equal("time", err.kind)
      assert.matches(fault, err.message)
    end
    assert.error_matches(function() ml.time.parse(nil) end, "string expected")
  end)
end)

describe("ml.every", function()
  --- The times of the first beats, from the call on.
  local function beats(count, seconds, opts, body)
    local start, list = ml.now(), {}
    for n in ml.every(seconds, opts) do
      list[#list + 1] = { n, ml.now() - start }
      if #list == count then return list end
      if body then body(n) end
    end
  end

  before_each(function() clock.virtual() end)

  it("beats without drift, whatever the body takes", function()
    assert.same({ { 1, 0.5 }, { 2, 1.0 }, { 3, 1.5 } }, beats(3, 0.5))
    assert.same({ { 1, 0.5 }, { 2, 1.0 }, { 3, 1.5 } }, beats(3, 0.5, nil, function() ml.sleep(0.25) end))
    local list = beats(1000, 0.1)
    assert.equal(1000, list[1000][1])
    assert.is_true(math.abs(list[1000][2] - 100) < 1e-3)
  end)

  it("beats at once, too, if that is asked for", function()
    assert.same({ { 1, 0.0 }, { 2, 0.5 }, { 3, 1.0 } }, beats(3, 0.5, { immediate = true }))
  end)

  it("skips the beats that were missed while the body ran, and counts them", function()
    assert.same({ { 1, 1.0 }, { 4, 4.0 }, { 5, 5.0 } }, beats(3, 1, nil, function(n)
      if n == 1 then ml.sleep(2.5) end
    end))
  end)

  it("does not miss a beat that is due when the body ends", function()
    assert.same({ { 1, 1.0 }, { 2, 2.0 }, { 3, 3.0 } }, beats(3, 1, nil, function() ml.sleep(1) end))
  end)

  it("lets other tasks run, however short it is", function()
    clock.real()
    local ran
    local other = ml.spawn(function() ran = true end)
    for _ in ml.every(1e-9) do
      if ran then break end
    end
    other:await()
  end)

  it("can be cancelled", function()
    local task = ml.spawn(function() for _ in ml.every(1) do end end)
    ml.sleep(2.5)
    task:cancel()
    assert.equal("cancelled", select(2, pcall(task.await, task)).kind)
  end)

  it("refuses what is no time", function()
    for _, seconds in ipairs { 0, -1, 0 / 0, math.huge } do
      assert.error_matches(function() ml.every(seconds) end, "bad argument #1 to 'ml.every'")
    end
    assert.error_matches(function() ml.every "soon" end, "number of seconds expected, got string")
    assert.error_matches(function() ml.every(1, { now = true }) end, "unknown option 'now' of ml.every")
  end)
end)
