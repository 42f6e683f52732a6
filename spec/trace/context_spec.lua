-- traceparent and tracestate (W3C Trace Context), by ml.trace.continue.
local ml = require "moonloop"

local trace = ml.trace

local ID, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"

--- What is understood of the headers: the values that would be sent on, or nil.
local function read(parent, state)
  return trace.continue(parent, state, function() return trace.current():traceparent() end)
end

local function state_of(state) return (select(2, read(("00-%s-%s-01"):format(ID, SPAN), state))) end

describe("the context of a trace", function()
  setup(function() trace.start { endpoint = "http://127.0.0.1:9", sample = 0, delay = 3600 } end)
  teardown(function() trace.stop() end)

  it("is read from a traceparent, also of a later version", function()
    for text, flags in pairs {
      [("00-%s-%s-01"):format(ID, SPAN)] = "01",
      [("00-%s-%s-00"):format(ID, SPAN)] = "00",
      [("00-%s-%s-03"):format(ID, SPAN)] = "03",
      [("00-%s-%s-ff"):format(ID, SPAN)] = "03", -- flags that nobody knows yet are not sent on
      [("01-%s-%s-01"):format(ID, SPAN)] = "01",
      [("cc-%s-%s-01-what comes then"):format(ID, SPAN)] = "01",
      [("cc-%s-%s-01-"):format(ID, SPAN)] = "01",
    } do
      assert.equal(("00-%s-%s-%s"):format(ID, SPAN, flags), (read(text)), text)
    end
  end)

  it("is not read from what is malformed", function()
    for _, text in ipairs {
      "", "00", ("00-%s-%s"):format(ID, SPAN), ("00-%s-%s-1"):format(ID, SPAN), ("00-%s-%s-01-"):format(ID, SPAN),
      ("00-%s-%s-01x"):format(ID, SPAN), ("00-%s-%s-01-more"):format(ID, SPAN), ("ff-%s-%s-01"):format(ID, SPAN),
      ("cc-%s-%s-01x"):format(ID, SPAN), ("cc-%s-%s-01.more"):format(ID, SPAN),
      ("00-%s-%s-01"):format(ID:upper(), SPAN), ("00-%s-%s-01"):format(ID, SPAN:upper()),
      ("0-%s-%s-001"):format(ID, SPAN), (" 00-%s-%s-01"):format(ID, SPAN), ("00-%s-%s-0g"):format(ID, SPAN),
      ("0A-%s-%s-01"):format(ID, SPAN), ("00_%s_%s_01"):format(ID, SPAN), ("00-%s-%s-01"):format(("0"):rep(32), SPAN),
      ("00-%s-%s-01"):format(ID, ("0"):rep(16)), ("00-%s-%s-01"):format(ID:sub(1, 31) .. "g", SPAN),
      ("00-%s-%s-01,00-%s-%s-01"):format(ID, SPAN, ID, SPAN), ("00-%s%s-01"):format(ID, SPAN),
    } do
      assert.is_nil(read(text), text)
    end
  end)

  it("has a tracestate without spaces and empty members", function()
    local key, value = ("k"):rep(256), ("v"):rep(200)
    for text, expected in pairs {
      ["rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"] = "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE",
      [" \ta=1 ,\t, b=2,"] = "a=1,b=2",
      ["fw529a3039@dt=FfXrI"] = "fw529a3039@dt=FfXrI",
      ["0a-_*/=!~ \"x"] = "0a-_*/=!~ \"x",
      [key .. "=" .. value] = key .. "=" .. value,
    } do
      assert.equal(expected, state_of(text), text)
    end
    for _, text in ipairs { "", " ", ",", " , \t" } do assert.is_nil(state_of(text), text) end
  end)

  it("has none if it is malformed", function()
    local many = {}
    for i = 1, 33 do many[i] = "k" .. i .. "=1" end
    assert.is_nil(state_of(table.concat(many, ",")))
    assert.is_string(state_of(table.concat(many, ",", 1, 32)))
    for _, text in ipairs {
      "a", "a=", "=1", "A=1", "_a=1", "a b=1", "a=1=2", "a=1\n", "a=é", "a=1,a=2", "a=1,b=2,a=3", "a=1;b=2=3",
      ("k"):rep(257) .. "=1", "k=" .. ("v"):rep(257), "a=1,b",
    } do
      assert.is_nil(state_of(text), text)
    end
  end)

  it("is sent on without the last members if it has more than 512 bytes", function()
    local a, b = "a=" .. ("x"):rep(250), "b=" .. ("y"):rep(250)
    assert.equal(a .. "," .. b, state_of(a .. "," .. b .. ",c=12345"))
    assert.equal(a .. "," .. b .. ",c=1234", state_of(a .. "," .. b .. ",c=1234"))
  end)
end)
