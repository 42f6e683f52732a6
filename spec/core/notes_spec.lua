-- Notes on errors that only say that something is nil.
local ml = require "moonloop"

--- The note in the traceback of what `f` raises in a task, or nil.
local function note_of(f)
  local task = ml.spawn(f)
  local ok = pcall(task.await, task)
  assert.is_false(ok)
  return task:traceback():match "^note: ([^\n]*)\n"
end

describe("the error of a nil", function()
  it("has a note with the error that came with it, if that was ignored", function()
    local bad = "{a:1}"
    assert.matches("^the nil came with an error, the second result: json: invalid JSON at line 1, column 2: .*; " ..
      "take both %(local value, err = ...%), or let assert%(...%) raise it$", note_of(function()
      local value = ml.json.decode(bad)
      return value.a
    end))
    assert.matches("json: invalid JSON", note_of(function() return 1, ml.json.decode(bad).a end))
    assert.matches("json: invalid JSON", note_of(function() return 1 + ml.json.decode(bad) end))
    assert.matches("timeout: not finished after 0.001 s", note_of(function()
      return #ml.timeout(0.001, ml.sleep, 10)
    end))
    assert.matches("network: GET http://127.0.0.1:1/: connection refused", note_of(function()
      return 1, ml.http.get("http://127.0.0.1:1/").body
    end))
    assert.matches("network: GET http://127.0.0.1:1/: connection refused", note_of(function()
      return 1, ml.http.get("http://127.0.0.1:1/", { retries = 1 }):json()
    end))
  end)

  it("has no note about other errors: one that was taken, another function's, another task's", function()
    local bad = "{a:1}"
    assert.is_nil(note_of(function()
      local value, err = ml.json.decode(bad)
      return value.a, err
    end))
    assert.is_nil(note_of(function()
      local function decode() return (ml.json.decode(bad)) end
      return decode().a
    end))
    local function decode(way)
      if way then return (ml.json.decode(bad)) end
      local none = nil
      return none.a
    end
    assert.is_nil(decode(true))
    assert.is_nil(note_of(function() decode(false) return 1 end))
  end)

  it("says that a handler has no second parameter", function()
    assert.matches("^a handler gets the request alone; what it returns is the answer", note_of(function(_, res)
      res.send "x"
    end))
    assert.is_nil(note_of(function()
      local res = nil
      return res.body
    end))
  end)

  it("names the function that was meant", function()
    local queue, app = ml.queue(), ml.web.app()
    for name, f in pairs {
      ["did you mean ml.sleep?"] = function() ml.slep(1) end, -- luacheck: ignore
      ["did you mean ml.json.decode?"] = function() ml.json.decod "1" end,
      ["did you mean release?"] = function() ml.lock():relaese() end,
      ["use ml.sleep"] = function() sleep(1) end, -- luacheck: ignore
      ["use task:await"] = function() await(1) end, -- luacheck: ignore
      ["use queue:put"] = function() queue:push(1) end,
      ["use ml.web.listen"] = function() app:listen(8000) end,
      ["use ml.executor.new"] = function() ml.executor.pool() end,
    } do
      assert.equal(name, note_of(f))
    end
    local many, registry = {}, debug.getregistry()
    for i = 1, 2000 do many["method" .. i] = print end
    registry["moonloop.spec.many"] = { __index = many }
    local found = note_of(function() ml.lock():relaese() end)
    registry["moonloop.spec.many"] = nil
    assert.equal("did you mean release?", found)
    assert.is_nil(note_of(function() completely_different() end)) -- luacheck: ignore
    assert.is_nil(note_of(function() error "attempt to call a nil value" end))
    assert.is_nil(note_of(function() local x = nil x() end))
    assert.is_nil(note_of(function() ml.lock():close() end)) -- which others have
  end)
end)
