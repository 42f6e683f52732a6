-- Long bodies of JSON: decoded in steps between which other tasks run, and the same in all else.
local ml = require "moonloop"
local random_schema = require "spec.support.random_schema"
local sanitized = require("spec.support").sanitized
local tasks = require "spec.support.tasks"
local web = require "moonloop.web"

local s, json = ml.schema, ml.json
local TYPE <const> = { ["content-type"] = "application/json" }
local STEP <const> = 8192 -- values decoded, or checked, in one go at most
local RANDOM <const> = sanitized and 15 or 60 -- kinds of random texts: sanitizers take long for the blanks
local BLANKS <const> = (" "):rep(256 * 1024) -- in front of a text they make a long one of it

-- An app and its client; seen.turns: of another task while the last request was handled, from when its body was there.
local function app_with_turns()
  local app, seen = web.app { max_body = 64 << 20 }, {}
  app:use(function(req, next)
    assert(req.body)
    local res
    seen.turns, res = tasks.turns_during(next, req)
    return res
  end)
  return app, seen
end

local function posts(c, path, body)
  local res = assert(c:post(path, { headers = TYPE, body = body }))
  return res.status, res.body
end

describe("a long body of JSON", function()
  local rows = "[" .. ('{"id":1,"tags":[2]},'):rep(99999) .. '{"id":1,"tags":[2]}]'

  it("lets others run while it is decoded and checked", function()
    local app, seen = app_with_turns()
    app:post("/json", function(req) return tostring(#req:json()) end)
    app:post("/typed", { body = s.list(s.object { id = s.int(), tags = s.list(s.int()) }) },
      function(req) return tostring(#req.valid.body) end)
    app:post("/wrong", { body = s.list(s.object { id = s.int(), tags = s.list(s.string()) }) }, function() end)
    local c <close> = web.test(app)
    local values = 400000 -- lists, numbers and objects
    assert.same({ 200, "100000" }, { posts(c, "/json", rows) })
    assert(seen.turns >= values // STEP, seen.turns)
    assert.same({ 200, "100000" }, { posts(c, "/typed", rows) })
    assert(seen.turns >= 2 * values // STEP, seen.turns)
    assert.equal(422, (posts(c, "/wrong", rows)))
    assert(seen.turns >= values // STEP, seen.turns)
    assert.same({ 200, "100001" }, { posts(c, "/json", "[" .. ("{},"):rep(100000) .. "[]]") })
    assert(seen.turns >= 100000 // STEP, seen.turns)
  end)

  it("lets others run while its values are counted, and makes none of them if they are too many", function()
    local app, seen = app_with_turns()
    app:post("/", function(req) return tostring(#req:json()) end)
    local c <close> = web.test(app)
    local body = "[" .. ("[],"):rep(3000000) .. "[]]"
    collectgarbage()
    local before = collectgarbage "count"
    local status, text = posts(c, "/", body .. (" "):rep(8 << 20))
    assert.equal(400, status)
    assert.matches("more than 1000000 values", text)
    assert(collectgarbage "count" - before < 60000) -- the body, twice, and no table of it
    assert(seen.turns >= 2, seen.turns)
  end)

  it("is no matter for a short one, which is decoded in one go", function()
    local app, seen = app_with_turns()
    app:post("/", function(req) return tostring(#req:json()) end)
    local c <close> = web.test(app)
    assert.same({ 200, "60000" }, { posts(c, "/", "[" .. ("[],"):rep(59999) .. "[]]") })
    assert.equal(0, seen.turns)
  end)

  it("has the values and the errors of ml.json.decode", function()
    local app = web.app { max_body = 64 << 20 }
    local function text_of(value, err)
      if err then return ("%s in %d:%d"):format(err.message, err.line, err.column) end
      return json.encode(value, { pretty = true })
    end
    app:post("/", function(req) return text_of(req:json { raise = false }) end)
    local c <close> = web.test(app)
    local random = random_schema.generator(17)
    local texts = { '{"a":1,"a":[2,2.5,-1e3],"":{}}', "[]", "{}", "[[[[]]]]", '"a\\u00e4"', "1", "null", "true",
      ("["):rep(512) .. ("]"):rep(512), ("["):rep(513) .. ("]"):rep(513), ('{"a":'):rep(513),
      "[" .. ("1,"):rep(300) .. "2]", "[" .. ('"x",'):rep(255) .. "2]", "[" .. ('{"x":1},'):rep(256) .. "2]" }
    local members = {}
    for i = 1, 300 do
      members[i] = ('"k%d":%d'):format(i, i)
      if i > 125 and i < 131 or i == 300 then texts[#texts + 1] = "{" .. table.concat(members, ",") .. "}" end
    end
    for _ = 1, 3 * RANDOM do
      local text = random_schema.text(random, 4)
      texts[#texts + 1] = text
      texts[#texts + 1] = text:sub(1, random(#text) - 1)
      local at = random(#text)
      texts[#texts + 1] = text:sub(1, at - 1) .. ('[]{},:" x0'):sub(random(10)):sub(1, 1) .. text:sub(at + 1)
    end
    local right, wrong = 0, 0
    for _, text in ipairs(texts) do
      local long = BLANKS .. text
      local value, err = json.decode(long)
      assert.equal(text_of(value, err), select(2, posts(c, "/", long)), text)
      if err then wrong = wrong + 1 else right = right + 1 end
    end
    assert(right > 2 * RANDOM and wrong > 2 * RANDOM, right .. " " .. wrong)
  end)

  it("has the values and the errors of a short one, by any schema", function()
    local fitting, failing = 0, 0
    for round = 1, RANDOM do
      local random = random_schema.generator(round)
      local schema = random_schema.schema(random, 3)
      local app = web.app()
      app:post("/", { body = schema }, function(req) return json.encode(req.valid.body, { pretty = true }) end)
      local c <close> = web.test(app)
      for _ = 1, 12 do
        local text = random(4) == 1 and random_schema.text(random, 3) or random_schema.fitting(random, schema)
        local status, body = posts(c, "/", text)
        assert.same({ status, body }, { posts(c, "/", text .. BLANKS) }, ("round %d: %s"):format(round, text))
        if status == 200 then fitting = fitting + 1 else failing = failing + 1 end
      end
    end
    assert(fitting > 2 * RANDOM and failing > 2 * RANDOM, fitting .. " " .. failing)
  end)

  it("has no more than a hundred errors by a schema, and stops there", function()
    local app = web.app()
    app:post("/", { body = s.list(s.list(s.int())) }, function() end)
    local c <close> = web.test(app)
    local body = "[" .. ('["x"],'):rep(100000) .. "[1]]"
    local status, text = posts(c, "/", body)
    assert.equal(422, status)
    assert.equal(100, #json.decode(text).detail)
  end)

  it("is not decoded to its end when the request is cancelled", function()
    local app, err = web.app { max_body = 64 << 20 }, nil
    app:post("/", function(req)
      assert(req.body)
      local task = ml.spawn(function() return req:json() end)
      ml.sleep(0) -- it has begun
      task:cancel()
      err = select(2, pcall(task.await, task))
      return "cancelled"
    end)
    local c <close> = web.test(app)
    assert.same({ 200, "cancelled" }, { posts(c, "/", rows) })
    assert.is_true(ml.is_error(err, "cancelled"))
  end)

  it("waits until those before it are decoded, so that one at a time takes memory", function()
    local turns, over, ends, failed = 0, false, {}, 0
    local app = web.app { max_body = 64 << 20 }
    app:post("/{name}", function(req)
      assert(req.body)
      local task = ml.spawn(function() return #req:json() end)
      if req.params.name ~= "whole" then
        ml.sleep(0)
        task:cancel()
        local ok = pcall(task.await, task)
        failed = failed + (ok and 0 or 1)
        return "cancelled"
      end
      local count = task:await()
      ends[#ends + 1] = turns
      return tostring(count)
    end)
    local c <close> = web.test(app)
    local other = tasks.started(function()
      while not over do
        turns = turns + 1
        ml.sleep(0)
      end
    end)
    local posted = {}
    for i, name in ipairs { "current", "whole", "waiting", "whole", "whole", "waiting", "whole", "whole" } do
      posted[i] = function()
        local status, body = posts(c, "/" .. name, rows)
        assert.same({ 200, name == "whole" and "100000" or "cancelled" }, { status, body })
      end
    end
    ml.gather(table.unpack(posted))
    over = true
    other:await()
    assert.equal(3, failed)
    assert.equal(5, #ends)
    local steps = 400000 // STEP
    for i = 2, #ends do assert(ends[i] - ends[i - 1] >= steps, table.concat(ends, " ")) end
  end)

  it("does not wait for all of many that are longer", function()
    local done, others = 0, {}
    for i = 1, 6 do
      others[i] = ml.spawn(function()
        json.decode(rows)
        done = done + 1
      end)
    end
    ml.sleep(0)
    json.decode("[" .. BLANKS .. "]")
    local before = done
    for _, task in ipairs(others) do task:await() end
    assert.is_true(before <= 2, before .. " were before it")
    assert.equal(6, done) -- they have every other turn, in order
  end)

  it("is decoded in one go where its task cannot be suspended", function()
    local app, seen = app_with_turns()
    app:post("/", function(req)
      local value
      table.sort({ 1, 2 }, function()
        value = req:json()
        return false
      end)
      return tostring(#value)
    end)
    local c <close> = web.test(app)
    assert.same({ 200, "100000" }, { posts(c, "/", rows) })
    assert.equal(0, seen.turns)
  end)
end)
