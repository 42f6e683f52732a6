-- Long texts of JSON from wherever they come: decoded in steps between which other tasks run. What a step does is
-- checked in spec/web/long_json_spec.lua.
local ml = require "moonloop"
local tasks = require "spec.support.tasks"
local web = require "moonloop.web"

local json, s = ml.json, ml.schema
local turns_during = tasks.turns_during
local STEP <const> = 8192 -- values decoded in one go at most
local COUNT <const> = 100000
local LISTS <const> = "[" .. ("[],"):rep(COUNT - 1) .. "[]]" -- 300 kB

-- f() in a place where nothing can be suspended.
local function at_once(f)
  local value
  table.sort({ 1, 2 }, function()
    value = f()
    return false
  end)
  return value
end

describe("a long text of JSON", function()
  it("lets others run while ml.json.decode reads it", function()
    local turns, value, err = turns_during(json.decode, LISTS)
    assert.same({ COUNT, nil }, { #value, err })
    assert(turns >= COUNT // STEP, turns)
    turns, value, err = turns_during(json.decode, LISTS .. "x")
    assert.same({ nil, "json", 1, #LISTS + 1 }, { value, err.kind, err.line, err.column })
    assert(turns >= COUNT // STEP, turns)
  end)

  it("lets others run while a schema decodes and checks it", function()
    local turns, value = turns_during(function() return s.list(s.list(s.int())):decode(LISTS) end)
    assert.equal(COUNT, #value)
    assert(turns >= 2 * COUNT // STEP, turns)
    local none, err
    turns, none, err = turns_during(function() return s.list(s.int()):decode(LISTS) end)
    assert.same({ nil, "validation", 100 }, { none, err.kind, #err.errors })
    assert(turns >= COUNT // STEP, turns)
  end)

  it("lets others run while it is the body of a response", function()
    local app = web.app()
    app:get("/", function() return web.response { body = LISTS } end)
    local c <close> = web.test(app)
    local res = assert(c:get "/")
    local turns, value = turns_during(function() return res:json() end)
    assert.equal(COUNT, #value)
    assert(turns >= COUNT // STEP, turns)
  end)

  it("lets others run while it is a message of a WebSocket", function()
    local app, came, turns, value = web.app(), ml.event(), nil, nil
    app:websocket("/", function(ws)
      came:wait()
      turns, value = turns_during(function() return ws:receive_json() end)
      ws:send "done"
    end)
    local c <close> = web.test(app)
    local ws <close> = assert(c:websocket "/")
    ml.spawn(function()
      ws:send(LISTS)
      came:set()
    end)
    assert.equal("done", ws:receive())
    assert.equal(COUNT, #value)
    assert(turns >= COUNT // STEP, turns)
  end)

  it("is read in one go where it is short, or where the task cannot be suspended", function()
    local short = "[" .. ("[],"):rep(60000) .. "[]]"
    assert.same({ 0, 60001 }, { turns_during(function() return #json.decode(short) end) })
    assert.same({ 0, COUNT }, { turns_during(at_once, function() return #json.decode(LISTS) end) })
  end)

  it("is read in one go in the clean-up of a task that is cancelled", function()
    local count
    local task = tasks.started(function()
      local _ <close> = tasks.closing(function() count = #json.decode(LISTS) end)
      ml.sleep(math.huge)
    end)
    task:cancel()
    assert.is_false((tasks.await(task)))
    assert.equal(COUNT, count)
  end)

  it("is not read to its end when its task is cancelled, and the next one has its turn", function()
    local first = tasks.started(json.decode, LISTS)
    local second = tasks.started(json.decode, LISTS)
    first:cancel()
    local ok, err = tasks.await(first)
    assert(not ok and ml.is_error(err, "cancelled"))
    assert.equal(COUNT, #second:await())
  end)

  it("waits until those before it are read, so that one at a time takes memory", function()
    local ends = {}
    local function read()
      assert.equal(COUNT, #json.decode(LISTS))
      ends[#ends + 1] = true
    end
    local turns = turns_during(ml.gather, read, read, read)
    assert.equal(3, #ends)
    assert(turns >= 3 * (COUNT // STEP), turns)
  end)
end)
