-- ml.web.test under a random load: requests of all kinds at once, some cancelled, some read in part, in clients of
-- few and of many connections. Each answer and each error has to be that of its own request.
local ml = require "moonloop"
local clock = require "moonloop.clock"
require "spec.support" -- for the modules of the specs
local keep_reports = require "reports".keep
local web = ml.web

local SEED = tonumber(os.getenv "MOONLOOP_SEED") or os.time()
local CLIENTS, TASKS, REQUESTS = 6, 20, 8

--- Waits for nothing, or for a moment, or not at all.
local function pause(random)
  local choice = random(4)
  if choice == 1 then ml.sleep(0) elseif choice == 2 then ml.sleep(random(20) / 1000) end
end

local function make_app(random)
  local app = web.app()
  local function text(req) return req.params.id .. ":" .. ("x"):rep(random(100000)) end
  app:get("/get/{id}", function(req)
    pause(random)
    return text(req)
  end)
  app:get("/fail/{id}", function(req)
    pause(random)
    error("failed " .. req.params.id, 0)
  end)
  app:get("/stream/{id}", function(req)
    local fails = random(3) == 1
    return web.response { stream = function(out)
      out:write(req.params.id .. ":")
      for _ = 1, random(10) do
        pause(random)
        out:write(("x"):rep(random(40000)))
      end
      if fails then error("failed " .. req.params.id, 0) end
    end }
  end)
  app:post("/post/{id}", function(req)
    local n = 0
    for chunk in req:chunks() do
      n = n + #chunk
      pause(random)
    end
    return req.params.id .. ":" .. n
  end)
  app:post("/small/{id}", { max_body = 10 }, function(req) return req.params.id .. ":" .. req.body end)
  return app
end

local kinds = { "get", "fail", "stream", "read", "post", "pieces", "small" }

--- Sends a request of this kind with this id, and gives what it may look at: the beginning of the body.
local function send(c, kind, id, random)
  if kind == "read" then
    local parts = {}
    local limit = random(8)
    for chunk in c:get("/stream/" .. id, { stream = true }):chunks() do
      parts[#parts + 1] = chunk
      if #parts == limit then break end
      pause(random)
    end
    return table.concat(parts)
  elseif kind == "post" or kind == "small" then
    return assert(c:post(("/%s/%s"):format(kind, id), { body = ("y"):rep(random(200000) + 10) })).body
  elseif kind == "pieces" then
    local left = random(6)
    return assert(c:post("/post/" .. id, { body = function()
      left = left - 1
      pause(random)
      return left >= 0 and ("z"):rep(random(80000)) or nil
    end })).body
  end
  return assert(c:get(("/%s/%s"):format(kind, id))).body
end

describe("ml.web.test under a random load", function()
  it("gives each request its own answer or error, and leaves nothing behind", function()
    clock.virtual()
    local state = SEED
    local function random(n) -- of its own, so that a seed repeats a run
      state = (state * 6364136223846793005 + 1442695040888963407) & 0x7fffffffffffffff
      return (state >> 33) % n + 1
    end
    io.stderr:write(("test client soak: seed %d (MOONLOOP_SEED=%d repeats it)\n"):format(SEED, SEED))
    local reports <close> = keep_reports() -- of requests that were cancelled when they failed
    local app = make_app(random)
    local last = 0
    local function one(c)
      last = last + 1
      local id, kind = "r" .. last .. "r", kinds[random(#kinds)]
      local limit = random(3) == 1 and random(40) / 1000 or math.huge
      local ok, result, err = pcall(ml.timeout, limit, send, c, kind, id, random)
      local said = ok and (result or tostring(err)) or tostring(result)
      if kind == "small" and ok and result then
        assert.matches("Content Too Large", said)
      elseif ok and not result then
        assert.matches("timeout: not finished", said)
      elseif ok then
        assert.equal(id .. ":", said:match "^[^:]*:")
        assert.not_equal("fail", kind)
      else
        assert.equal("failed " .. id, said)
        assert(kind == "fail" or kind == "stream" or kind == "read", kind)
      end
    end
    for _ = 1, CLIENTS do
      local c <close> = web.test(app, { max_connections = random(2) == 1 and random(5) or 100 })
      local tasks = {}
      for i = 1, TASKS do
        tasks[i] = ml.spawn(function()
          for _ = 1, REQUESTS do one(c) end
        end)
      end
      for _, task in ipairs(tasks) do task:await() end
    end
    assert.equal(CLIENTS * TASKS * REQUESTS, last)
    assert.is_nil(reports:text():find("closed in the middle", 1, true))
  end)
end)
