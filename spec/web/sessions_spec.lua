-- Sessions: the table, its stores, its cookie, and what an attacker could try.
local browsers = require "spec.support.browser"
local clock = require "moonloop.clock"
local folders = require "spec.support.folder"
local keep_reports = require("spec.support").keep_reports
local ml = require "moonloop"
local postgres = require "spec.support.postgres"
local process = require "spec.support.process"
local redis = require "spec.support.redis"
local served = require "spec.support.served"
local web = require "moonloop.web"

local SECRET, OTHER = ("s"):rep(32), ("o"):rep(32)

--- An app that counts, logs in and out; opts are of ml.web.sessions.
local function counter(opts)
  local app = web.app()
  app:use(web.sessions(opts))
  app:get("/count", function(req)
    req.session.n = (req.session.n or 0) + 1
    return tostring(req.session.n)
  end)
  app:get("/read", function(req) return ml.json.encode(req.session) end)
  app:get("/plain", function() return "plain" end)
  app:get("/nested", function(req)
    req.session.cart = req.session.cart or { items = {} }
    table.insert(req.session.cart.items, "tea")
    return tostring(#req.session.cart.items)
  end)
  app:get("/login", function(req)
    req.session.user = req.query.user or "ada"
    web.session(req):regenerate()
    return "in"
  end)
  app:get("/logout", function(req)
    web.session(req):destroy()
    return "out"
  end)
  app:get("/clear", function(req)
    for key in pairs(req.session) do req.session[key] = nil end
    return ""
  end)
  return app
end

local function visit(opts, f) browsers.visit(counter(opts), f) end

local function json(res)
  assert.equal(200, res.status, res.body)
  return ml.json.decode(res.body)
end

--- f raises what matches, with a line of this file.
local function refused(pattern, opts)
  local ok, err = pcall(function() return web.sessions(opts) end)
  assert.is_false(ok)
  assert.matches("spec.lua:%d+: .*" .. pattern, err)
end

-- --- each store ---

local kinds = {
  { name = "memory", open = function() return { store = "memory" } end },
  { name = "cookie", open = function() return { store = "cookie", secret = SECRET } end },
  { name = "SQLite", open = function(kind)
    kind.folder = folders.new {}
    kind.db = ml.sql.open("sqlite:" .. kind.folder.path .. "/app.db")
    return { store = kind.db }
  end, close = function(kind)
    kind.db:close()
    kind.folder:close()
  end },
  { name = "PostgreSQL", missing = postgres.missing(), open = function(kind)
    kind.server = kind.server or postgres.start()
    kind.db = ml.sql.open(kind.server.url)
    return { store = kind.db }
  end, close = function(kind)
    kind.db:close()
    kind.server:close()
  end },
  { name = "Redis", missing = redis.missing(), open = function(kind)
    kind.server = kind.server or redis.start()
    kind.client = kind.server:client()
    return { store = kind.client }
  end, close = function(kind)
    kind.client:close()
    kind.server:close()
  end },
}

for _, kind in ipairs(kinds) do
  describe("sessions (" .. kind.name .. ")", function()
    if kind.missing then
      it("need a server", function() pending(kind.missing) end)
      return
    end
    local opts
    setup(function() opts = kind:open() end)
    teardown(function()
      if kind.close then kind:close() end
    end)

    --- The session with the old id is nobody's. What a cookie holds itself can be sent again.
    local function check_forgotten(port, old)
      if kind.name == "cookie" then return end
      local thief = browsers.new(port)
      thief.cookies.session = old
      assert.same({}, json(thief:get("/read")))
    end

    it("last from request to request", function()
      visit(opts, function(one, port)
        for i = 1, 3 do assert.equal(tostring(i), one:get("/count").body) end
        assert.equal("1", browsers.new(port):get("/count").body)
        assert.same({ n = 3 }, json(one:get("/read")))
      end)
    end)

    it("notice changes inside of nested tables", function()
      visit(opts, function(one)
        for i = 1, 3 do assert.equal(tostring(i), one:get("/nested").body) end
      end)
    end)

    it("get a new id, keep their data and forget the old id at regenerate", function()
      visit(opts, function(one, port)
        one:get("/count")
        local old = one.cookies.session
        one:get("/login")
        assert.are_not.equal(old, one.cookies.session)
        assert.same({ n = 1, user = "ada" }, json(one:get("/read")))
        check_forgotten(port, old)
      end)
    end)

    it("end at destroy, and a new one may begin", function()
      visit(opts, function(one, port)
        one:get("/login")
        local old = one.cookies.session
        local res = one:get("/logout")
        assert.matches("^session=; Path=/; Max%-Age=0", res.cookies[1])
        assert.same({}, one.cookies)
        assert.same({}, json(one:get("/read")))
        assert.equal("1", one:get("/count").body)
        check_forgotten(port, old)
      end)
    end)

    it("end when their table is emptied", function()
      visit(opts, function(one)
        one:get("/count")
        one:get("/clear")
        assert.same({}, one.cookies)
      end)
    end)

    it("begin for several clients at once", function()
      visit(opts, function(_, port)
        ml.map({ 1, 2, 3, 4, 5, 6, 7, 8 }, function()
          local one = browsers.new(port)
          for i = 1, 3 do assert.equal(tostring(i), one:get("/count").body) end
        end)
      end)
    end)

    it("never adopt an id that they do not know", function()
      visit(opts, function(one)
        for _, planted in ipairs { ("a"):rep(43), "x", "", ("y"):rep(3000), "../../etc" } do
          one.cookies.session = planted
          assert.equal("1", one:get("/count").body)
          assert.are_not.equal(planted, one.cookies.session)
          assert.equal("2", one:get("/count").body)
        end
      end)
    end)
  end)
end

-- --- the stores' own ---

describe("sessions in a database", function()
  it("are kept by a hash of their id", function()
    local db = ml.sql.open "sqlite::memory:"
    visit({ store = db, table = "visits" }, function(one)
      one:get("/login")
      local row = db:one "select * from visits"
      assert.equal(require "moonloop.crypto".sha256(one.cookies.session), row.id)
      assert.equal('{"user":"ada"}', row.data)
    end)
    db:close()
  end)

  it("are written only when they changed", function()
    local db = ml.sql.open "sqlite::memory:"
    visit({ store = db }, function(one)
      one:get("/count")
      local before = db:stats().statements
      one:get("/plain")
      assert.equal(before, db:stats().statements)
      one:get("/read")
      assert.equal(before + 1, db:stats().statements)
    end)
    db:close()
  end)

  it("are removed some time after they have expired", function()
    clock.virtual()
    local db = ml.sql.open "sqlite::memory:"
    visit({ store = db, idle = 100 }, function(one, port)
      one:get("/count")
      ml.sleep(1000)
      browsers.new(port):get("/count")
      assert.equal(1, db:value "select count(*) from moonloop_sessions")
    end)
    db:close()
  end)

  it("that fails are a 500 with a report, and the answer does not pretend", function()
    local db = ml.sql.open "sqlite:/nowhere/at/all.db"
    local reports <close> = keep_reports()
    visit({ store = db }, function(one)
      local res = one:get("/count")
      assert.equal(500, res.status)
      assert.same({}, res.cookies)
      one.cookies.session = ("a"):rep(43)
      assert.equal(500, one:get("/read").status)
      assert.equal("plain", one:get("/plain").body)
    end)
    assert.matches("GET /count failed", reports:text())
    assert.matches("GET /read failed", reports:text())
    db:close()
  end)
end)

describe("sessions in PostgreSQL", function()
  if postgres.missing() then
    it("need a server", function() pending(postgres.missing()) end)
    return
  end

  local server
  setup(function() server = postgres.start() end)
  teardown(function() server:close() end)

  it("begin where several servers miss the table at once", function()
    for _ = 1, 5 do
      server:psql "drop table if exists moonloop_sessions"
      local dbs = { ml.sql.open(server.url), ml.sql.open(server.url), ml.sql.open(server.url) }
      ml.map({ 1, 2, 3 }, function(i)
        visit({ store = dbs[i] }, function(_, port)
          ml.map({ 1, 2, 3, 4 }, function() assert.equal("1", browsers.new(port):get("/count").body) end)
        end)
      end)
      for _, db in ipairs(dbs) do db:close() end
    end
  end)

  it("are a 500 that says why where the table is missing and may not be made", function()
    server:psql "drop table if exists moonloop_sessions; create user guest; revoke create on schema public from public"
    local db = ml.sql.open(server:at "guest")
    local reports <close> = keep_reports()
    visit({ store = db }, function(one) assert.equal(500, one:get("/count").status) end)
    db:close()
    assert.matches("permission denied for schema public", reports:text())
  end)
end)

describe("sessions in Redis", function()
  if redis.missing() then
    it("need a server", function() pending(redis.missing()) end)
    return
  end

  it("expire there, by a hash of their id", function()
    local server <close> = redis.start()
    local client <close> = server:client()
    visit({ store = client, idle = 100, prefix = "visit:" }, function(one)
      one:get("/count")
      local keys = client:keys "*"
      assert.same({ "visit:" .. require "moonloop.crypto".sha256(one.cookies.session) }, keys)
      local left = client:pttl(keys[1])
      assert(left > 90000 and left <= 100000, left)
      client:pexpire(keys[1], 50000)
      one:get("/read")
      left = client:pttl(keys[1])
      assert(left > 90000 and left <= 100000, left)
    end)
  end)

  it("end in time, whatever Redis says", function()
    local server <close> = redis.start()
    local client <close> = server:client()
    visit({ store = client, idle = 100, absolute = 1000 }, function(one)
      one:get("/count")
      local key = client:keys("*")[1]
      assert.equal("OK", client:set(key, ("%d\n%s"):format(os.time() - 1001, '{"n":7}'), { px = 50000 }))
      assert.same({}, json(one:get("/read")))
    end)
  end)

  it("that somebody else wrote are an error", function()
    local server <close> = redis.start()
    local client <close> = server:client()
    local reports <close> = keep_reports()
    visit({ store = client }, function(one)
      one:get("/count")
      client:set(client:keys("*")[1], "rubbish")
      assert.equal(500, one:get("/read").status)
    end)
    assert.matches("was not written by ml.web.sessions", reports:text())
  end)

  it("that is away are a 500 with a report", function()
    local client <close> = ml.redis.client("redis://127.0.0.1:1", { timeout = 0.5 })
    local reports <close> = keep_reports()
    visit({ store = client }, function(one) assert.equal(500, one:get("/count").status) end)
    assert.matches("ECONNREFUSED", reports:text())
  end)
end)

describe("sessions in memory", function()
  it("are bounded, the least recently used one goes, and that is reported", function()
    local reports <close> = keep_reports()
    visit({ max = 2 }, function(one, port)
      local two, three = browsers.new(port), browsers.new(port)
      one:get("/count")
      two:get("/count")
      one:get("/count")
      three:get("/count")
      assert.same({ n = 2 }, json(one:get("/read")))
      assert.same({}, json(two:get("/read")))
    end)
    assert.matches("more than 2 sessions", reports:text())
  end)

  it("that are over go, and not only when others begin", function()
    clock.virtual()
    local store, now = require "moonloop.web.session_memory"(10000), ml.time.now()
    for i = 1, 3000 do store:create("over" .. i, "text", now, now + 10) end
    for i = 1, 300 do store:create("used" .. i, "text", now, now + 10) end
    for i = 1, 300 do store:touch("used" .. i, now + 20) end
    ml.sleep(9)
    assert.equal(3300, store.records.count)
    ml.sleep(3)
    assert.equal(300, store.records.count)
    ml.sleep(10)
    assert.equal(0, store.records.count)
    store:create("another", "text", now, ml.time.now() + 5)
    ml.sleep(7)
    assert.equal(0, store.records.count)
  end)

  it("that are still to be over keep no process alive", function()
    assert.equal("ended\n", (process.run [[
      local store = require "moonloop.web.session_memory"(10000)
      store:create("key", "text", ml.time.now(), ml.time.now() + 1e6)
      ml.sleep(0)
      print "ended"
    ]]))
  end)

  it("with several workers are an error at start", function()
    local app = [[
      local ml = require "moonloop"
      local app = ml.web.app()
      app:use(ml.web.sessions{})
      return app
    ]]
    local several <close> = served.start({ ["app.lua"] = app }, "--workers 2")
    several:finish()
    assert.matches('app.lua:3: ml.web.sessions: store = "memory" is of one process', several:errors())
    local alone <close> = served.start({ ["app.lua"] = app }, "--workers 1")
    assert(alone.port, alone:errors())
  end)
end)

describe("sessions in the cookie", function()
  it("can neither be read nor changed", function()
    visit({ store = "cookie", secret = SECRET }, function(one)
      one:get("/login?user=grace-hopper")
      local value = one.cookies.session
      local bytes = require "moonloop.crypto".from_base64url(value)
      assert.is_nil(bytes:find("grace", 1, true))
      for _, at in ipairs { 1, 24, 25, #bytes // 2, #bytes } do
        local bad = bytes:sub(1, at - 1) .. string.char(bytes:byte(at) ~ 1) .. bytes:sub(at + 1)
        one.cookies.session = require "moonloop.crypto".base64url(bad)
        assert.same({}, json(one:get("/read")))
      end
      one.cookies.session = value
      assert.same({ user = "grace-hopper" }, json(one:get("/read")))
    end)
  end)

  it("do not open under another name", function()
    local value
    visit({ store = "cookie", secret = SECRET, name = "a" }, function(one)
      one:get("/login")
      value = one.cookies.a
    end)
    visit({ store = "cookie", secret = SECRET, name = "b" }, function(one)
      one.cookies.b = value
      assert.same({}, json(one:get("/read")))
    end)
  end)

  it("open with an older secret, are sealed with the new one, and with no other", function()
    local value
    visit({ store = "cookie", secret = OTHER }, function(one)
      one:get("/login")
      value = one.cookies.session
    end)
    visit({ store = "cookie", secret = { SECRET, OTHER } }, function(one)
      one.cookies.session = value
      assert.same({ user = "ada" }, json(one:get("/read")))
      assert.are_not.equal(value, one.cookies.session)
      value = one.cookies.session
    end)
    visit({ store = "cookie", secret = SECRET }, function(one)
      one.cookies.session = value
      assert.same({ user = "ada" }, json(one:get("/read")))
    end)
    visit({ store = "cookie", secret = OTHER }, function(one)
      one.cookies.session = value
      assert.same({}, json(one:get("/read")))
    end)
  end)

  it("that are too large are an error that says how large", function()
    local app = web.app()
    app:use(web.sessions { store = "cookie", secret = SECRET })
    app:get("/", function(req) req.session.text = ("x"):rep(4000) end)
    local reports <close> = keep_reports()
    browsers.visit(app, function(one)
      local res = one:get("/")
      assert.equal(500, res.status)
      assert.same({}, res.cookies)
    end)
    assert.matches("the session has 4011 bytes, and its cookie would have %d+ %(at most 4096%)", reports:text())
  end)

  it("need a secret of 32 bytes", function()
    refused("option 'secret' .* is required", { store = "cookie" })
    refused("secret 1 of ml.web.sessions has 5 bytes", { store = "cookie", secret = "short" })
  end)
end)

-- --- time ---

describe("a session's time", function()
  for _, store in ipairs { "memory", "cookie" } do
    it("is over after `idle` seconds without a use (" .. store .. ")", function()
      clock.virtual()
      visit({ store = store, secret = store == "cookie" and SECRET or nil, idle = 100, absolute = 1000 }, function(one)
        one:get("/login")
        for _ = 1, 5 do
          ml.sleep(60)
          assert.same({ user = "ada" }, json(one:get("/read")))
        end
        ml.sleep(101)
        assert.same({}, json(one:get("/read")))
      end)
    end)

    it("is over after `absolute` seconds in any case, and starts anew at regenerate (" .. store .. ")", function()
      clock.virtual()
      visit({ store = store, secret = store == "cookie" and SECRET or nil, idle = 100, absolute = 150 }, function(one)
        one:get("/count")
        ml.sleep(80)
        one:get("/login")
        ml.sleep(80)
        assert.same({ n = 1, user = "ada" }, json(one:get("/read")))
        ml.sleep(80)
        assert.same({}, json(one:get("/read")))
      end)
    end)
  end
end)

-- --- the cookie ---

describe("the cookie of a session", function()
  local function line(opts, scheme)
    local app, found = web.app(), nil
    app:use(function(req, next)
      req.scheme = scheme
      return next(req)
    end)
    app:use(web.sessions(opts))
    app:get("/", function(req) req.session.n = 1 end)
    browsers.visit(app, function(one)
      local res = one:get("/")
      found = res.cookies[1]
      assert.equal("no-store", res.headers["cache-control"])
      assert.equal("Cookie", res.headers.vary)
    end)
    return (found:gsub("=[%w_-]+", "=ID", 1))
  end

  it("is bound to the host where there is TLS, and hidden from scripts", function()
    assert.equal("__Host-session=ID; Path=/; Secure; HttpOnly; SameSite=Lax", line({}, "https"))
    assert.equal("__Host-session=ID; Path=/; Secure; HttpOnly; SameSite=Lax", line({ secure = true }))
  end)

  it("works over plain http", function()
    assert.equal("session=ID; Path=/; HttpOnly; SameSite=Lax", line({}))
    assert.equal("session=ID; Path=/; HttpOnly; SameSite=Lax", line({ secure = false }, "https"))
    assert.equal("session=ID; Path=/; HttpOnly; SameSite=Lax", line({ same_site = "none" }))
  end)

  it("has the options", function()
    assert.equal("__Host-s=ID; Path=/; Max-Age=500; Secure; HttpOnly; SameSite=Strict",
      line({ name = "s", same_site = "strict", persistent = true, absolute = 500 }, "https"))
  end)

  it("of the http site does not count on the https site", function()
    local app = web.app()
    app:use(function(req, next)
      req.scheme = req.headers["x-forwarded-proto"]
      return next(req)
    end)
    app:use(web.sessions {})
    app:get("/", function(req)
      req.session.n = (req.session.n or 0) + 1
      return tostring(req.session.n)
    end)
    browsers.visit(app, function(one)
      one:get("/")
      assert.equal("1", one:get("/", { ["X-Forwarded-Proto"] = "https" }).body)
    end)
  end)

  it("is not sent where nothing was written", function()
    visit({}, function(one)
      assert.same({}, one:get("/plain").cookies)
      local res = one:get("/read")
      assert.same({}, res.cookies)
      assert.equal("Cookie", res.headers.vary)
      assert.is_nil(one:get("/plain").headers.vary)
    end)
  end)

  it("does not stay in a response that the handler returns again", function()
    local app = web.app()
    app:use(web.sessions {})
    local shared = web.response { body = "same", headers = { ["Set-Cookie"] = { "theme=dark" } } }
    app:get("/write", function(req)
      req.session.n = 1
      return shared
    end)
    app:get("/", function() return shared end)
    browsers.visit(app, function(one)
      assert.equal(2, #one:get("/write").cookies)
      assert.equal(2, #browsers.new(one.port):get("/write").cookies)
      assert.same({ "theme=dark" }, one:get("/").cookies)
    end)
  end)
end)

-- --- what handlers do ---

describe("req.session", function()
  local function run(handler, f, opts)
    local app = web.app()
    app:use(web.sessions(opts or {}))
    app:get("/", handler)
    app:get("/read", function(req) return ml.json.encode(req.session) end)
    browsers.visit(app, f)
  end

  it("may be replaced by another table", function()
    run(function(req) req.session = { fresh = true } end, function(one)
      one:get("/")
      local id = one.cookies.session
      assert.same({ fresh = true }, json(one:get("/read")))
      assert.same({}, one:get("/").cookies)
      assert.equal(id, one.cookies.session)
    end)
  end)

  it("is saved if the handler aborts or fails", function()
    local reports <close> = keep_reports()
    run(function(req)
      req.session.tries = (req.session.tries or 0) + 1
      if req.query.fail then error "oh" end
      web.abort(401)
    end, function(one)
      assert.equal(401, one:get("/").status)
      assert.equal(500, one:get("/?fail=1").status)
      assert.same({ tries = 2 }, json(one:get("/read")))
    end)
    assert.matches("oh", reports:text())
  end)

  it("that cannot be saved is an error that says why", function()
    local reports <close> = keep_reports()
    run(function(req)
      req.session = req.query.text or req.session
      if not req.query.text then req.session.f = { print } end
    end, function(one)
      assert.equal(500, one:get("/").status)
      assert.equal(500, one:get("/?text=x").status)
    end)
    assert.matches("the session cannot be saved: .*f", reports:text())
    assert.matches("req.session is a string", reports:text())
  end)

  it("is loaded once, also by several tasks", function()
    local db = ml.sql.open "sqlite::memory:"
    run(function(req)
      local tables = ml.gather { function() return req.session end, function() return req.session end,
        function() return web.session(req) and req.session end }
      assert(tables[1] == tables[2] and tables[2] == tables[3])
      tables[1].n = 1
    end, function(one)
      one:get("/")
      local before = db:stats().statements
      assert.equal(204, one:get("/").status)
      assert.equal(before + 1, db:stats().statements)
    end, { store = db })
    db:close()
  end)

  it("does not take values in the place of its table", function()
    run(function(req)
      return select(2, pcall(function() web.session(req).user = "ada" end))
    end, function(one)
      assert.matches("values are in req.session: req.session.user = ...", one:get("/").body, 1, true)
    end)
  end)

  it("is saved before the head of a stream, and a later change is reported", function()
    local reports <close> = keep_reports()
    run(function(req)
      req.session.n = 1
      return web.response { stream = function(out)
        out:write(tostring(req.session.n))
        if req.query.late then req.session.n = 2 end
        local ok, err = pcall(web.session(req).destroy, web.session(req))
        assert(not ok and err:find "has been saved")
      end }
    end, function(one)
      assert.equal("1", one:get("/").body)
      assert.equal("", reports:text())
      assert.equal("1", one:get("/?late=1").body)
      assert.same({ n = 1 }, json(one:get("/read")))
    end)
    assert.matches("changed in a stream", reports:text())
  end)

  it("may be read first in a stream, where a change is reported, and its end refused", function()
    local reports <close> = keep_reports()
    local err
    run(function(req)
      return web.response { stream = function(out)
        out:write(tostring(req.session.n or 0))
        if req.query.write then req.session.n = 2 end
        err = select(2, pcall(function() web.session(req):destroy() end))
      end }
    end, function(one)
      assert.equal("0", one:get("/").body)
      assert.equal("", reports:text())
      assert.equal("0", one:get("/?write=1").body)
      assert.same({}, one.cookies)
    end)
    assert.matches("sessions_spec.lua:%d+: session:destroy: the session has been saved", err)
    assert.matches("changed in a stream", reports:text())
  end)

  it("works when a middleware asks for the inner response twice", function()
    local app = web.app()
    app:use(function(req, next)
      next(req)
      return next(req)
    end)
    app:use(web.sessions {})
    app:get("/", function(req)
      req.session.n = (req.session.n or 0) + 1
      web.session(req):regenerate()
      return tostring(req.session.n)
    end)
    browsers.visit(app, function(one)
      assert.equal("2", one:get("/").body)
      assert.equal("4", one:get("/").body)
    end)
  end)

  it("is a copy in an offloaded route, whose change is an error", function()
    local app = counter {}
    app:get("/there", { offload = true }, function(req)
      return req.session.user .. #req.session.cart.items
    end)
    app:get("/change", { offload = true }, function(req) req.session.user = "eve" end)
    local reports <close> = keep_reports()
    browsers.visit(app, function(one)
      one:get("/login")
      one:get("/nested")
      assert.equal("ada1", one:get("/there").body)
      assert.equal(500, one:get("/change").status)
      assert.equal("ada", json(one:get("/read")).user)
    end)
    assert.matches("the session of an offloaded route is a copy", reports:text())
  end)

  it("has one ml.web.sessions around it", function()
    local app = web.app()
    app:use(web.sessions {})
    app:use(web.sessions {})
    app:get("/", function() return "" end)
    local reports <close> = keep_reports()
    browsers.visit(app, function(one) assert.equal(500, one:get("/").status) end)
    assert.matches("two ml.web.sessions", reports:text())
  end)

  it("is nil without ml.web.sessions, and ml.web.session says so", function()
    local app, err = web.app(), nil
    app:get("/", function(req)
      assert(req.session == nil)
      err = select(2, pcall(function() web.session(req) end))
    end)
    browsers.visit(app, function(one) assert.equal(204, one:get("/").status) end)
    assert.matches("sessions_spec.lua:%d+: ml.web.session: the request has no session", err)
  end)
end)

-- --- several requests of one session ---

describe("requests of one session at the same time", function()
  local function app_with_gate(store)
    local app, gate, entered = counter { store = store }, ml.event(), ml.event()
    app:get("/slow", function(req)
      req.session.slow = true
      entered:set()
      gate:wait()
      if req.query.renew then web.session(req):regenerate() end
      return "slow"
    end)
    return app, gate, entered
  end

  --- While a request to `target` is in its handler, f(browser) runs. Returns the slow response.
  local function meanwhile(target, f)
    local app, gate, entered = app_with_gate("memory")
    local res
    browsers.visit(app, function(one, port)
      one:get("/login")
      local slow = browsers.new(port)
      slow.cookies.session = one.cookies.session
      local task = ml.spawn(function() return slow:get(target) end)
      entered:wait()
      f(one)
      gate:set()
      res = task:await()
      res.session = json(one:get("/read"))
      res.of_slow = json(slow:get("/read"))
    end)
    return res
  end

  it("are saved as a whole, the last one wins", function()
    local res = meanwhile("/slow", function(one) one:get("/count") end)
    assert.same({ user = "ada", slow = true }, res.session)
  end)

  it("do not bring back one that was ended", function()
    local res = meanwhile("/slow", function(one) one:get("/logout") end)
    assert.equal(200, res.status)
    assert.same({}, res.cookies)
    assert.same({}, res.session)
    assert.same({}, res.of_slow)
  end)

  it("do not renew one that was ended: that is a 409", function()
    local res = meanwhile("/slow?renew=1", function(one) one:get("/logout") end)
    assert.equal(409, res.status)
    assert.same({}, res.cookies)
    assert.same({}, res.of_slow)
  end)
end)

describe("ml.web.sessions", function()
  it("says what is wrong with its options", function()
    refused("unknown option 'stor'.*did you mean 'store'", { stor = "memory" })
    refused("option 'store' of ml.web.sessions is 'disk'", { store = "disk" })
    refused("option 'store' of ml.web.sessions is a userdata", { store = io.stdout })
    refused("option 'secret' of ml.web.sessions is for store = \"cookie\" alone", { secret = SECRET })
    refused("option 'idle' of ml.web.sessions is 0", { idle = 0 })
    refused("option 'absolute' of ml.web.sessions is inf", { absolute = math.huge })
    refused("option 'name' of ml.web.sessions is '__Host%-x'", { name = "__Host-x" })
    refused("option 'same_site' of ml.web.sessions is 'Some'", { same_site = "Some" })
    refused("option 'max' of ml.web.sessions is 0", { max = 0 })
    local db = ml.sql.open "sqlite::memory:"
    refused("option 'table' of ml.web.sessions", { store = db, table = "a b" })
    refused("option 'table' of ml.web.sessions .*PostgreSQL", { store = db, table = "a.b" })
    db:close()
  end)
end)
