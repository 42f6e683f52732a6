-- scripts/examples/shop: its own specs on both databases, its processes together, its live page in Chromium, and its
-- client in TypeScript, made from its document and run against it.
local collectors = require "spec.support.collector"
local lfs = require "lfs"
local ml = require "moonloop"
local npm = require "spec.support.npm"
local folders = require "spec.support.folder"
local http = require "spec.support.http"
local postgres = require "spec.support.postgres"
local process = require "spec.support.process"
local redis = require "spec.support.redis"
local support = require "spec.support"

local SHOP = "scripts/examples/shop"
local PASSWORD = "correct horse"

--- Shell words that set these variables for what follows.
local function exports(variables)
  local words = {}
  for name, value in pairs(variables) do words[#words + 1] = ("export %s=%s;"):format(name, process.quote(value)) end
  return table.concat(words)
end

--- Adds ann, who may run the shop.
local function add_admin(before)
  local add = "%s echo '%s' | '%s' run --block-limit 0 %s/add_admin.lua ann"
  local output, status = process.sh(add:format(before, PASSWORD, support.binary, SHOP))
  assert.same({ "", 0 }, { output, status })
end

--- A client of the API at `url`, with a token of ann.
local function log_in(url)
  local form = { username = "ann", password = PASSWORD }
  local token = assert(ml.http.post(url .. "/api/token", { form = form })):json().access_token
  return ml.http.client { base_url = url, auth = token }
end

describe("the shop's specs", { timeout = 300 }, function()
  local function pass(variables)
    local output, status = process.sh(("cd %s && %s '%s' test --log-level error spec"):format(SHOP, exports(variables),
      support.binary))
    assert.equal(0, status, output)
    assert.matches("[1-9]%d* successes / 0 failures / 0 errors / 0 pending", output)
  end

  it("pass on SQLite, without anything else", function() pass {} end)

  it("pass on PostgreSQL and Redis", function()
    local why = postgres.missing() or redis.missing()
    if why then return pending(why) end
    local database <close> = postgres.start()
    local cache <close> = redis.start()
    pass { TEST_DATABASE_URL = database.url, TEST_REDIS_URL = cache.url }
  end)
end)

describe("the walk through the shop", function()
  it("shows the shop as it is", function()
    local n = 0
    for file, text in folders.read("doc/how-to/whole-application.md"):gmatch '\n```lua title="([%w_.]+)"\n(.-\n)```' do
      n = n + 1
      assert(folders.read(SHOP .. "/" .. file):find(text, 1, true), file .. " has no such lines:\n" .. text)
    end
    assert.equal(5, n)
  end)

  it("knows all files of the shop", function()
    local text = folders.read(SHOP .. "/README.md")
    for name in lfs.dir(SHOP) do
      if not name:find "^%." and name ~= "README.md" and not name:find "%.db" then
        assert(text:find("`" .. name, 1, true), "README.md says nothing of " .. name)
      end
    end
  end)
end)

describe("the shop's processes", { timeout = 300 }, function()
  it("are one shop, with PostgreSQL and Redis, and one trace", function()
    local why = postgres.missing() or redis.missing()
    if why then return pending(why) end
    local database <close> = postgres.start()
    local cache <close> = redis.start()
    local collector = collectors.start()
    local before = exports { DATABASE_URL = database.url, REDIS_URL = cache.url, OTEL_BSP_SCHEDULE_DELAY = "10",
      OTEL_EXPORTER_OTLP_ENDPOINT = collector.url }
    add_admin(before)
    local server <close> = process.serve(SHOP .. "/app.lua", "--workers 2 --block-limit 0", before)
    local worker <close> = process.start(("work %s/app.lua --block-limit 0"):format(SHOP), before)
    local client <close> = log_in(server.url)
    local lamp = assert(client:post("/api/items", { json = { name = "lamp", price = 1250, stock = 3 } })):json()
    local sockets = {}
    for i = 1, 6 do
      sockets[i] = assert(ml.ws.connect(server.url:gsub("^http", "ws") .. "/live/stock"))
      assert.same({ id = lamp.id, stock = 3, version = 0 }, sockets[i]:receive_json())
    end
    assert.equal(200, client:put("/api/cart/" .. lamp.id, { json = { count = 2 } }).status)
    local order = assert(client:post("/api/orders", { json = { card = "refused", total = 2500 } }))
    assert.equal(202, order.status, order.body)
    -- What the server has taken, and what the job gives back, is seen by the pages of both workers.
    for _, socket in ipairs(sockets) do
      assert.same({ id = lamp.id, stock = 1, version = 1 }, socket:receive_json())
      assert.same({ id = lamp.id, stock = 3, version = 2 }, socket:receive_json())
      socket:close()
    end
    assert.equal("refused", assert(client:get "/api/orders"):json()[1].state)
    collector:wait_until(function()
      return collector:count "POST /api/orders" == 1 and collector:count "process charge" == 1
    end)
    assert.equal(collector:span "POST /api/orders".traceId, collector:span "process charge".traceId)
    for _, each in ipairs { server, worker } do
      local _, status, errors = each:stop()
      assert.equal(0, status, errors)
      assert.is_nil(errors:find '"level":"error"', errors)
    end
    http.stop()
  end)
end)

npm.block(describe, pending, "the shop in Chromium", function()
  it("sells, shows the stock live, and runs no script of others", function()
    local folder <close> = folders.new {}
    local before = exports { DATABASE_URL = "sqlite:" .. folder.path .. "/shop.db" }
    add_admin(before)
    local server <close> = process.serve(SHOP .. "/app.lua", "--block-limit 0", before)
    assert.equal("done\n", npm.run("shop.mjs", server.url))
    local _, status, errors = server:stop()
    assert.equal(0, status, errors)
    assert.is_nil(errors:find '"level":"error"', errors)
  end)
end)

npm.block(describe, pending, "the shop's client", function()
  local folder

  --- Runs a program of npm in the folder: what it prints, and its status.
  local function run(command)
    return process.sh(("cd '%s' && timeout 300 node node_modules/.bin/%s"):format(folder.path, command))
  end

  local function compile(file, options)
    return run(("tsc --strict --target es2022 --module nodenext %s %s"):format(options, file))
  end

  setup(function()
    folder = folders.new { ["package.json"] = '{"type": "module"}' }
    local output, status = process.sh((
      "ln -s '%s/.deps/npm/node_modules' '%s' && cp %s/client/*.ts '%s' && '%s' openapi %s/app.lua > '%s/shop.json'")
      :format(lfs.currentdir(), folder.path, SHOP, folder.path, support.binary, SHOP, folder.path))
    assert.equal(0, status, output)
    output, status = run "openapi-typescript shop.json --default-non-nullable=false -o shop.ts"
    assert.equal(0, status, output)
  end)

  teardown(function() folder.close() end)

  it("compiles, and buys in the shop", function()
    local output, status = compile("client.ts", "")
    assert.equal(0, status, output)
    local export = exports { DATABASE_URL = "sqlite:" .. folder.path .. "/shop.db" }
    add_admin(export)
    local server <close> = process.serve(SHOP .. "/app.lua", nil, export)
    output, status = process.sh(("node '%s/client.js' %s"):format(folder.path, server.url))
    assert.same({ 0, "order 1 is placed: 2500 for 2 lamp\n" }, { status, output })
    assert.equal(0, select(2, server:stop()))
  end)

  it("is not compiled with a mistake", function()
    local output, status = compile("wrong.ts", "--noEmit")
    assert.equal(2, status, output)
    local wrong, line = folders.read(SHOP .. "/client/wrong.ts"), 0
    for text in wrong:gmatch "([^\n]*)\n" do
      line = line + 1
      local is_wrong = output:find(("wrong.ts(%d,"):format(line), 1, true) ~= nil
      assert.equal(text:find("; //", 1, true) ~= nil, is_wrong, text .. "\n" .. output)
    end
  end)
end)
