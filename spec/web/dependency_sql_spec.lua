-- Dependencies that hold transactions: a pool that is smaller than the number of requests, tasks that hand
-- transactions on, and commits that fail.
local databases = require "spec.support.sql"
local ml = require "moonloop"
local support = require "spec.support.web"
local keep_reports = require "reports".keep
local web = ml.web

local REQUESTS = 100

--- A dependency that is a transaction: committed, or rolled back after an error.
local function transaction(db, spec, opts)
  spec[1] = function()
    local tx, err = db:begin(opts)
    if not tx then return nil, err end
    return tx, function(failure)
      if failure then return tx:rollback() end
      return tx:commit()
    end
  end
  return web.dependency(spec)
end

--- How often each status came as the answer to many requests at once.
local function statuses(port, path)
  local counts = {}
  local list = {}
  for i = 1, REQUESTS do list[i] = i end
  ml.map(list, function(i)
    local status = support.get(port, path .. "?i=" .. i).status
    counts[status] = (counts[status] or 0) + 1
  end)
  return counts
end

databases.on_each("a hundred requests on a pool of five", function(place)
  local db

  before_each(function()
    db = place():open { pool = 5, acquire = 100 }
    assert(db:script "drop table if exists items; create table items (id integer primary key, name text)")
  end)

  it("are all answered where two dependencies use one transaction", function()
    local app = web.app()
    local tx = transaction(db, { name = "tx" })
    local count = web.dependency { needs = { tx = tx }, function(_, deps)
      return deps.tx:value "select count(*) from items"
    end }
    app:get("/", { depends = { count = count, tx = tx } }, function(req, deps)
      assert(deps.tx:exec("insert into items values ($1, 'x')", math.tointeger(tonumber(req.query.i))))
      return { before = deps.count }
    end)
    support.serving(app, function(port) assert.same({ [200] = REQUESTS }, statuses(port, "/")) end)
    assert.equal(REQUESTS, db:value "select count(*) from items")
  end)

  it("are all answered where two transactions are begun at the same time, and handed on", function()
    local app = web.app()
    local a = transaction(db, { name = "a", concurrent = true }, { readonly = true })
    local b = transaction(db, { name = "b", concurrent = true }, { readonly = true })
    local repository = web.dependency { needs = { tx = b }, function(_, deps)
      return { count = function() return deps.tx:value "select count(*) from items" end }
    end }
    local function handler(_, deps)
      return { a = deps.a:value "select 1", count = deps.repository.count() }
    end
    app:get("/", { depends = { a = a, repository = repository } }, handler)
    app:get("/deadline", { depends = { a = a, repository = repository }, deadline = 60 }, handler)
    support.serving(app, function(port)
      assert.same({ [200] = REQUESTS }, statuses(port, "/"))
      assert.same({ [200] = REQUESTS }, statuses(port, "/deadline"))
    end)
  end)

  it("are answered or refused where each holds a second connection", function()
    local app = web.app()
    db = place():open { pool = 5, acquire = 2 }
    local a = transaction(db, { name = "a" }, { readonly = true })
    local b = transaction(db, { name = "b", needs = { a = a } }, { readonly = true, separate = true })
    app:get("/", { depends = { a = a, b = b } }, function(_, deps) return { deps.b:value "select 1" } end)
    app:on_error(function(err) if err.kind == "pool" then web.abort(503, err.message) end end)
    support.serving(app, function(port)
      local _ <close> = keep_reports()
      local counts = statuses(port, "/")
      assert.equal(REQUESTS, (counts[200] or 0) + (counts[503] or 0)) -- possibly all of them refused
    end)
  end)

  it("are refused with the name of what to use where one uses the database beside its transaction", function()
    local app = web.app()
    local tx = transaction(db, { name = "tx" }, { readonly = true })
    local user = web.dependency { needs = { tx = tx }, function() return db:value "select 1" end }
    app:get("/", { depends = { user = user } }, function() return "ok" end)
    support.serving(app, function(port)
      local reports <close> = keep_reports()
      assert.same({ [500] = REQUESTS }, statuses(port, "/"))
      assert.matches("use tx:value, which is part of it", reports:text())
    end)
  end)
end)

databases.on_each("a transaction as a dependency", function(place)
  it("of the scope 'response' is the stream's, and is rolled back where that fails", function()
    local db = place():open { pool = 2 }
    assert(db:script "create table notes (text text)")
    local app, over = web.app(), ml.event()
    local tx = transaction(db, { name = "tx", scope = "response" })
    local function handler(req, deps)
      req:after(function() over:set() end)
      return web.response { stream = function(out)
        assert(deps.tx:exec("insert into notes values ($1)", req.query.text))
        out:write(tostring(deps.tx:value "select count(*) from notes"))
        if req.query.fail then error("torn", 0) end
      end }
    end
    app:get("/", { depends = { tx = tx } }, handler)
    app:get("/deadline", { depends = { tx = tx }, deadline = 60 }, handler)
    support.serving(app, function(port)
      local reports <close> = keep_reports()
      for _, path in ipairs { "/?text=a", "/?text=b&fail=1", "/deadline?text=c", "/deadline?text=d&fail=1" } do
        over:clear()
        support.get(port, path)
        over:wait()
      end
      local texts = {}
      for i, row in ipairs(db:query "select text from notes order by text") do texts[i] = row.text end
      assert.same({ "a", "c" }, texts)
      assert.matches("torn", reports:text())
    end)
  end)

  it("whose commit fails is a 500, or what app:on_error makes of it", function()
    local db = place():open { pool = 2 }
    assert(db:script [[create table parents (id integer primary key);
      create table children (parent integer references parents (id) deferrable initially deferred)]])
    local app = web.app()
    local tx = transaction(db, { name = "tx" })
    local function handler(_, deps)
      assert(deps.tx:exec "insert into children values (99)")
      return "never"
    end
    app:get("/", { depends = { tx = tx } }, handler)
    local api = web.app()
    api:on_error(function(err) if err.kind == "foreign_key" then return { error = "no parent" }, 409 end end)
    api:get("/", { depends = { tx = tx } }, handler)
    app:mount("/api", api)
    support.serving(app, function(port)
      local reports <close> = keep_reports()
      assert.equal(500, support.get(port, "/").status)
      assert.matches("GET / failed: .*foreign", reports:text():lower():gsub("get", "GET"))
      assert.equal('{"error":"no parent"}', support.get(port, "/api").body)
    end)
    assert.equal(0, db:value "select count(*) from children")
  end)
end)
