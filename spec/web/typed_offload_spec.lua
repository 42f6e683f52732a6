-- Typed routes on other cores: what comes in is checked here, but large bodies; answers are encoded there.
local ml = require "moonloop"
local json = require "moonloop.json"
local support = require "spec.support.web"
local keep_reports = require "reports".keep

local s, web = ml.schema, ml.web
local JSON = "Content-Type: application/json\r\n"
local LARGE = 300 * 1024

local function decoded(res) return json.decode(res.body) end

describe("an offloaded route with types", function()
  local Item = s.object("OffloadedItem", { name = s.string { min = 1 }, n = s.int():default(3) })
  local Out = s.object("OffloadedOut", { name = s.string(), n = s.int() })
  local app = web.app()
  app:post("/{id:int}", { offload = true, body = Item, query = { q = s.int():default(0) }, response = Out },
    function(req)
      local job = require "moonloop".executor.current() -- nil on the loop
      local valid = req.valid
      return { name = job and valid.body.name:sub(1, 5) or "here", n = valid.body.n + valid.params.id + valid.query.q,
        secret = 1 }
    end)
  app:post("/checked", { offload = true, body = Item:check(function(item)
    if #item.name == LARGE then return "too long" end
    return require "moonloop".executor.current() and "checked in a worker" or nil
  end) }, function(req) return { #req.valid.body.name } end)
  app:post("/wrong", { offload = true, body = Item, response = Out }, function() return { name = 1 } end)
  app:get("/schema", { offload = true }, function()
    local value = Item:parse { name = "there" }
    return { value.name, value.n, select(2, Item:parse {}).kind }
  end)

  it("gets what was checked, and answers by its schema", function()
    support.serving(app, function(port)
      assert.equal('{"n":9,"name":"cup"}', support.post(port, "/5?q=1", '{"name":"cup"}', JSON).body)
      local res = support.post(port, "/5?q=x", '{"name":""}', JSON)
      assert.equal(422, res.status)
      assert.equal(2, #decoded(res).detail)
      assert.equal(415, support.post(port, "/5", '{"name":"cup"}').status)
    end)
  end)

  it("decodes a large body in the worker", function()
    support.serving(app, function(port)
      local big = ('{"name":"%s"}'):format(("x"):rep(LARGE))
      assert.equal('{"n":8,"name":"xxxxx"}', support.post(port, "/5", big, JSON).body)
      local res = support.post(port, "/5", ('{"name":"%s","n":"x"}'):format(("x"):rep(LARGE)), JSON)
      assert.equal(422, res.status)
      assert.same({ "body", "n" }, decoded(res).detail[1].loc)
      res = support.post(port, "/5?q=x", ('{"name":"%s","n":"x"}'):format(("x"):rep(LARGE)), JSON)
      assert.same({ { "query", "q" }, { "body", "n" } }, { decoded(res).detail[1].loc, decoded(res).detail[2].loc })
      assert.equal(422, support.post(port, "/5", ("["):rep(LARGE), JSON).status)
    end)
  end)

  it("runs :check functions on the loop", function()
    support.serving(app, function(port)
      assert.same({ 3 }, decoded(support.post(port, "/checked", '{"name":"cup"}', JSON)))
      assert.same({ LARGE + 1 },
        decoded(support.post(port, "/checked", ('{"name":"%s"}'):format(("x"):rep(LARGE + 1)), JSON)))
      local res = support.post(port, "/checked", ('{"name":"%s"}'):format(("x"):rep(LARGE)), JSON)
      assert.equal("Value error, too long", decoded(res).detail[1].msg)
    end)
  end)

  it("reports an answer that does not fit", function()
    local reports <close> = keep_reports()
    support.serving(app, function(port)
      assert.equal(500, support.post(port, "/wrong", '{"name":"cup"}', JSON).status)
    end)
    assert.matches("the response of POST /wrong with status 200 does not fit its schema: .*n: Field required",
      reports:text())
  end)

  it("may use schemas in its handler", function()
    support.serving(app, function(port)
      assert.same({ "there", 3, "validation" }, decoded(support.get(port, "/schema")))
    end)
  end)

  it("is refused its turn by a deadline as others are, after the checks", function()
    local other = web.app()
    other:post("/", { offload = true, deadline = 60, body = Item }, function(req) return req.valid.body end)
    support.serving(other, function(port)
      assert.same({ name = "a", n = 3 }, decoded(support.post(port, "/", '{"name":"a"}', JSON)))
      assert.equal(422, support.post(port, "/", '{}', JSON).status)
    end)
  end)
end)
