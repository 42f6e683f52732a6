-- The URLs and options of Redis clients.
local ml = require "moonloop"
local parse = require "moonloop.redis.url"

local function failure(...) return tostring(select(2, pcall(ml.redis.client, ...))) end

describe("the URL of a Redis server", function()
  it("has host, port, user, password and database", function()
    assert.same({ host = "db.example", port = 7000, user = "me", password = "p@ss:", database = 3,
      label = "redis://db.example:7000" }, parse "redis://me:p%40ss:@db.example:7000/3")
    assert.same({ host = "127.0.0.1", port = 6379, database = 0, label = "redis://127.0.0.1:6379" }, parse "redis://")
    assert.same({ host = "::1", port = 6379, password = "x", database = 2, label = "redis://[::1]:6379" },
      parse "redis://:x@[::1]?db=2")
  end)

  it("can be the path of a Unix socket", function()
    assert.same({ path = "/run/redis.sock", database = 0, label = "unix:/run/redis.sock" },
      parse "unix:/run/redis.sock")
    assert.same({ path = "/run/r.sock", database = 4, user = "u", password = "p", label = "unix:/run/r.sock" },
      parse "unix://u:p@/run/r.sock?db=4")
  end)

  it("that is malformed is an error that says why and hides the password", function()
    for url, why in pairs {
      ["localhost:6379"] = "has to begin with redis://, rediss:// or unix:",
      ["redis:localhost"] = "has to begin with",
      ["redis://host:0"] = "the port",
      ["redis://host:99999"] = "the port",
      ["redis://host:x"] = "is not HOST or HOST:PORT",
      ["redis://host/one"] = "'one' is not the number of a database",
      ["redis://host?password=secret"] = "unknown parameter 'password'",
      ["redis://host?timeout=3"] = "unknown parameter 'timeout'",
      ["unix:redis.sock"] = "has to begin with a slash",
      ["redis://secret@host"] = "the user has no password",
      ["redis://u:secret@ho st"] = "not HOST or HOST:PORT",
      ["redis://u:sec/secret@host"] = "/ is written %2F",
      ["redis://u:p@secret@ho st"] = "not HOST or HOST:PORT",
      ["rediss:host"] = "has to begin with",
    } do
      local message = failure(url)
      assert(message:find(why, 1, true), url .. ": " .. message)
      assert(not message:find("secret", 1, true), message)
    end
    assert(failure(nil):find("a URL expected", 1, true))
  end)

  it("can be a list of sentinels or of nodes, which is checked", function()
    for _, case in ipairs {
      { { sentinels = {} }, "sentinels: a list of URLs expected" },
      { { cluster = {} }, "cluster: a list of URLs expected" },
      { { sentinels = 1 }, "got number" },
      { { cluster = { "redis://a" }, sentinels = { "redis://a" } }, "not both" },
      { { cluster = { "unix:/run/redis.sock" } }, "is a Unix socket" },
      { { sentinels = { "unix:/run/redis.sock" } }, "is a Unix socket" },
      { { cluster = { "redis://a/3" } }, "a cluster has only database 0" },
      { { cluster = { "redis://a" }, database = 3 }, "a cluster has only database 0" },
      { { cluster = { "redis://a" }, master = "m" }, "'master' belongs to sentinels" },
      { { sentinels = { "redis://a" }, master = 7 }, "the name of the master at the sentinels" },
      { { sentinels = { "a:x" } }, "not HOST or HOST:PORT" },
      { { timeout = 3 }, "a URL, {sentinels =} or {cluster =} expected" },
      { { cluster = { "redis://a" }, databse = 1 }, "unknown option 'databse' of ml.redis.client" },
    } do
      local message = failure(case[1])
      assert(message:find(case[2], 1, true), message)
    end
    for _, where in ipairs { { sentinels = { "a:26380", "redis://b" } }, { cluster = "redis://u:p@a:7000" } } do
      local r <close> = ml.redis.client(where) -- luacheck: ignore
    end
  end)
end)

describe("the options of a Redis client", function()
  it("are checked, and the error names those that there are", function()
    assert(failure("redis://", { databse = 1 }):find("unknown option 'databse' of ml.redis.client", 1, true))
    assert(failure("redis://", { timeout = -1 }):find("0 or more", 1, true))
    assert(failure("redis://", { protocol = 4 }):find("expected 2 or 3", 1, true))
    assert(failure("redis://", { user = "u" }):find("needs a password", 1, true))
  end)
end)
