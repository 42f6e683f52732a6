-- ml.web.rate_limit: who gets a 429, when, and what the headers say.
local browsers = require "spec.support.browser"
local clock = require "moonloop.clock"
local keep_reports = require("spec.support").keep_reports
local ml = require "moonloop"
local redis = require "spec.support.redis"
local support = require "spec.support.web"
local web = require "moonloop.web"

local function app_with(opts)
  local app = web.app()
  app:use(web.rate_limit(opts))
  app:get("/", function() return "here" end)
  return app
end

local function visit(opts, f) browsers.visit(app_with(opts), f) end

--- The statuses of n requests.
local function statuses(one, n, headers)
  local list = {}
  for i = 1, n do list[i] = one:get("/", headers).status end
  return list
end

local function user(req) return req.headers["x-user"] end

describe("ml.web.rate_limit", function()
  it("lets a burst pass, then as many as come in at the rate", function()
    clock.virtual()
    visit({ rate = 2, burst = 3 }, function(one)
      assert.same({ 200, 200, 200, 429, 429 }, statuses(one, 5))
      ml.sleep(0.5)
      assert.same({ 200, 429 }, statuses(one, 2))
      ml.sleep(100)
      assert.same({ 200, 200, 200, 429 }, statuses(one, 4))
    end)
  end)

  it("says what is left, and when to come again", function()
    clock.virtual()
    visit({ rate = 6, per = 60, burst = 2 }, function(one)
      local function figures()
        local res = one:get("/")
        return { res.status, res.headers["ratelimit-policy"], res.headers["ratelimit-limit"],
          res.headers["ratelimit-remaining"], res.headers["ratelimit-reset"], res.headers["retry-after"] }
      end
      assert.same({ 200, "2;w=20", "2", "1", "10" }, figures())
      ml.sleep(5)
      assert.same({ 200, "2;w=20", "2", "0", "15" }, figures())
      assert.same({ 429, "2;w=20", "2", "0", "15", "5" }, figures())
      ml.sleep(5)
      assert.same({ 200, "2;w=20", "2", "0", "20" }, figures())
    end)
  end)

  it("counts each client by itself, or each key", function()
    clock.virtual()
    visit({ rate = 1, key = user }, function(one)
      assert.same({ 200, 429 }, statuses(one, 2, { ["X-User"] = "a" }))
      assert.same({ 200, 429 }, statuses(one, 2, { ["X-User"] = "b" }))
      assert.same({ 200, 200 }, statuses(one, 2))
    end)
  end)

  it("forgets those whose bucket is full again, whether others come or not", function()
    clock.virtual()
    local one <close> = web.test(app_with { rate = 1, max = 100000, key = user })
    local function visit_as(first, last)
      for i = first, last do assert.equal(200, one:get("/", { headers = { ["X-User"] = "user" .. i } }).status) end
    end
    local function used()
      collectgarbage()
      collectgarbage()
      return collectgarbage "count"
    end
    visit_as(1, 10) -- what a first request makes
    local before = used()
    visit_as(11, 1500)
    local grown = used() - before
    ml.sleep(10)
    assert(used() - before < grown / 4, grown)
  end)

  it("refuses a key that is neither text nor a number, which would count nobody twice, and says so once", function()
    for value, name in pairs { [{}] = "table", [true] = "boolean", [print] = "function" } do
      local reports <close> = keep_reports()
      visit({ rate = 1, key = function() return value end }, function(one)
        assert.same({ 400, 400 }, statuses(one, 2))
      end)
      assert.equal(1, select(2, reports:text():gsub("returned a", "")))
      assert.matches("the function 'key' %(.*rate_limit_spec.lua:%d+%) returned a " .. name
        .. " %(expected a string or a number, or nil for no limit%)", reports:text())
    end
    clock.virtual()
    visit({ rate = 1, key = function() return 7 end }, function(one) assert.same({ 200, 429 }, statuses(one, 2)) end)
  end)

  it("answers 400 to a client that sends a file, or a list, for the field that is the key", function()
    local app = web.app()
    local function by(read) return { use = { web.rate_limit { rate = 1, key = read } } } end
    app:post("/form", by(function(req) return req:form().user end), function() return "" end)
    app:post("/json", by(function(req) return req:json().user end), function() return "" end)
    local _ <close> = keep_reports()
    browsers.visit(app, function(one)
      local function status(path, type, body) return one:post(path, body, { ["Content-Type"] = type }).status end
      local file = '--B\r\nContent-Disposition: form-data; name="user"; filename="a"\r\n\r\n\r\n--B--\r\n'
      assert.equal(400, status("/form", "multipart/form-data; boundary=B", file))
      for _, other in ipairs { "[]", "true", "null", "{}" } do
        assert.equal(400, status("/json", "application/json", '{"user":' .. other .. "}"))
      end
    end)
  end)

  it("takes the network of an IPv6 client", function()
    clock.virtual()
    local app = web.app()
    app:use(function(req, next)
      req.client = { host = req.headers["x-from"] }
      return next(req)
    end)
    app:use(web.rate_limit { rate = 1 })
    app:get("/", function() return "" end)
    browsers.visit(app, function(one)
      local function first(address) return one:get("/", { ["X-From"] = address }).status == 200 end
      assert(first "2001:db8::1")
      assert(not first "2001:db8::2")
      assert(not first "2001:0DB8:0:0:ffff::")
      assert(first "2001:db8:0:1::1")
      assert(not first "2001:db8:0:1:2:3:4:5")
      assert(first "1.2.3.4")
      assert(not first "::ffff:1.2.3.4")
      assert(first "::1")
      assert(not first "::2")
      assert(first "fe80::1%eth0")
      assert(not first "fe80::2")
    end)
  end)

  it("forgets those that came long ago when there are too many", function()
    clock.virtual()
    visit({ rate = 1, key = user, max = 2 }, function(one)
      local function of(name) return one:get("/", { ["X-User"] = name }).status end
      assert.equal(200, of "a")
      assert.equal(200, of "b")
      assert.equal(429, of "a")
      assert.equal(200, of "c")
      assert.equal(429, of "a")
      assert.equal(200, of "b")
    end)
  end)

  it("is for one route, too, and its headers are on errors", function()
    clock.virtual()
    local app = web.app()
    app:get("/free", function() return "" end)
    app:get("/", { use = { web.rate_limit { rate = 1 } } }, function() web.abort(404) end)
    browsers.visit(app, function(one)
      local res = one:get("/")
      assert.equal(404, res.status)
      assert.equal("0", res.headers["ratelimit-remaining"])
      assert.same({ 429 }, statuses(one, 1))
      assert.equal(200, one:get("/free").status)
    end)
  end)

  it("does not stay in a response that the handler returns again", function()
    local app, shared = web.app(), web.response { body = "same", headers = { A = "b" } }
    app:use(web.rate_limit { rate = 100, key = user })
    app:get("/", function() return shared end)
    browsers.visit(app, function(one)
      assert.equal("99", one:get("/", { ["X-User"] = "a" }).headers["ratelimit-remaining"])
      assert.is_nil(one:get("/").headers["ratelimit-remaining"])
    end)
  end)

  it("takes the options of both stores, as a setting may choose between them", function()
    local app = app_with { rate = 1, per = 3600, store = "memory", name = "login" }
    browsers.visit(app, function(one)
      assert.same({ 200, 429 }, { one:get("/").status, one:get("/").status })
    end)
  end)

  it("says what is wrong with its options", function()
    local function refused(pattern, opts)
      local ok, err = pcall(function() return web.rate_limit(opts) end)
      assert.is_false(ok)
      assert.matches("spec.lua:%d+: .*" .. pattern, err)
    end
    refused("option 'rate' of ml.web.rate_limit is missing", {})
    refused("option 'rate' of ml.web.rate_limit is 0", { rate = 0 })
    refused("option 'per' of ml.web.rate_limit is %-1", { rate = 1, per = -1 })
    refused("option 'burst' of ml.web.rate_limit is 0", { rate = 1, burst = 0 })
    refused("option 'max' of ml.web.rate_limit is 0", { rate = 1, max = 0 })
    refused("option 'store' of ml.web.rate_limit is neither", { rate = 1, store = "disk" })
    refused("option 'on_failure' of ml.web.rate_limit is 'open'", { rate = 1, on_failure = "open" })
    refused("unknown option 'rates'.*'rate'", { rates = 1 })
  end)
end)

describe("ml.web.rate_limit with Redis", function()
  if redis.missing() then
    it("needs a server", function() pending(redis.missing()) end)
    return
  end
  local server
  setup(function() server = redis.start() end)
  teardown(function() server:close() end)

  it("counts for all servers together", function()
    local first <close> = server:client()
    local second <close> = server:client()
    local apps = { app_with { rate = 3, per = 3600, store = first, max = 5 },
      app_with { rate = 3, per = 3600, store = second } }
    browsers.visit(apps[1], function(one)
      browsers.visit(apps[2], function(two)
        assert.same({ 200, 200 }, statuses(one, 2))
        local res = two:get("/")
        assert.equal(200, res.status)
        assert.equal("0", res.headers["ratelimit-remaining"])
        res = one:get("/")
        assert.equal(429, res.status)
        local wait = tonumber(res.headers["retry-after"])
        assert(wait > 1100 and wait <= 1200, wait)
      end)
    end)
  end)

  it("lets no more pass when requests come at once", function()
    local client <close> = server:client()
    local app = app_with { rate = 5, per = 3600, store = client, key = function() return "all" end }
    support.serving(app, function(port)
      local passed = 0
      ml.map({ 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20 }, function()
        if support.get(port, "/").status == 200 then passed = passed + 1 end
      end)
      assert.equal(5, passed)
    end)
  end)

  it("keeps limits with other names or numbers apart, and its keys expire", function()
    local client <close> = server:client()
    client:flushall()
    local limits = { { rate = 1, per = 100 }, { rate = 1, per = 100, name = "login" }, { rate = 1, per = 200 } }
    for _, opts in ipairs(limits) do
      opts.store = client
      visit(opts, function(one) assert.same({ 200, 429 }, statuses(one, 2)) end)
    end
    local keys = client:keys "rate:*"
    assert.equal(3, #keys)
    for _, key in ipairs(keys) do assert(client:pttl(key) > 0) end
  end)

  it("has one round trip for a request", function()
    local client <close> = server:client()
    visit({ rate = 100, store = client }, function(one)
      one:get("/")
      client:config("RESETSTAT")
      one:get("/")
      -- What the script calls is counted, too.
      local names = {}
      for name, calls in client:info("commandstats"):gmatch "cmdstat_(%l+)[^:]*:calls=(%d+)" do
        names[name] = tonumber(calls)
      end
      names.config = nil
      assert.same({ evalsha = 1, time = 1, get = 1, set = 1 }, names)
    end)
  end)

  it("that is away lets requests pass with one report, or refuses them", function()
    local client <close> = ml.redis.client("redis://127.0.0.1:1", { timeout = 0.5 })
    local reports <close> = keep_reports()
    visit({ rate = 1, store = client }, function(one) assert.same({ 200, 200, 200 }, statuses(one, 3)) end)
    visit({ rate = 1, store = client, on_failure = "refuse" }, function(one)
      assert.same({ 503, 503 }, statuses(one, 2))
    end)
    assert.equal(2, select(2, reports:text():gsub("ECONNREFUSED", "")))
    assert.equal(2, select(2, reports:text():gsub("\n", "")))
  end)
end)
