-- A task that always finds what it asks for never had to wait, and kept the others from running: a loop
-- over the pieces of a compressed body had 3,070 of them in a row. Now it gives way now and then
-- (host/core/wait.h).
local ml = require "moonloop"
local web = require "moonloop.web"
local common = require "spec.support"
local raw = require "spec.support.http"
local served = require "spec.support.web"
local coding = require "coding"

local MOST = 1024 -- calls in a row

-- Runs `f(tick)`, which calls `tick` in each of its rounds, beside a task that is always ready. Gives
-- the most rounds between two turns of that one, and their number.
local function rounds(f)
  local turns, over = 0, false
  local neighbour = ml.spawn(function()
    while not over do
      turns = turns + 1
      ml.sleep(0)
    end
  end)
  local most, row, all, seen = 0, 0, 0, nil
  local ok, err = pcall(f, function()
    if turns ~= seen then seen, row = turns, 0 end
    row, all = row + 1, all + 1
    most = math.max(most, row)
  end)
  over = true
  neighbour:await()
  if not ok then error(err, 0) end
  return most, all
end

local function gives_way(f)
  local most, all = rounds(f)
  assert.is_true(all > 2 * MOST, all .. " rounds")
  assert.is_true(most <= MOST, most .. " rounds in a row")
end

describe("a task that never has to wait gives way", function()
  after_each(raw.stop)

  it("to others while it fills and empties a queue", function()
    gives_way(function(tick)
      local queue, sum = ml.queue(), 0
      for i = 1, 5000 do
        queue:put(i)
        tick()
      end
      for i = 1, 2500 do
        assert.equal(i, queue:get())
        tick()
      end
      queue:close()
      for value in queue:items() do
        sum = sum + value
        tick()
      end
      assert.equal(2500 * 7501 // 2, sum)
    end)
  end)

  it("to others while it takes permits, locks and events that are free", function()
    local semaphore, lock, event = ml.semaphore(1), ml.lock(), ml.event()
    event:set()
    for _, take in ipairs {
      function() semaphore:acquire() semaphore:release() end,
      function() local _ <close> = semaphore:hold() end,
      function() lock:acquire() lock:release() end,
      function() local _ <close> = lock:hold() end,
      function() event:wait() end,
    } do
      gives_way(function(tick)
        for _ = 1, 5000 do
          take()
          tick()
        end
      end)
    end
  end)

  it("to others while it goes through tasks that have ended", function()
    local tasks = {}
    for i = 1, 3000 do tasks[i] = ml.spawn(function() return i end) end
    ml.wait(tasks)
    gives_way(function(tick)
      for _ in ml.as_completed(tasks) do tick() end
    end)
  end)

  it("to others while it reads a compressed body: 128 kB of it are many pieces", function()
    local size = 32 * 1024 * 1024
    local body = coding.encode_whole("gzip", 9, common.xs(size))
    assert.is_true(#body < 64 * 1024)
    local server = raw.serve(raw.answering(raw.ok(body, "Content-Encoding: gzip\r\n")))
    local read = 0
    local most, pieces = rounds(function(tick)
      local res <close> = assert(ml.http.get(server.url, { stream = true }))
      for piece in res:chunks() do
        read = read + #piece
        tick()
      end
    end)
    assert.equal(size, read)
    assert.is_true(pieces >= 512 and most <= 16, ("%d of %d pieces in a row"):format(most, pieces))
  end)

  it("to others while it sends a body of small pieces", function()
    local server = raw.serve(raw.answering(raw.ok "thanks"))
    gives_way(function(tick)
      local left = 5000
      local res = assert(ml.http.put(server.url, { body = function()
        left = left - 1
        tick()
        return left > 0 and "a piece" or nil
      end }))
      assert.equal("thanks", res.body)
    end)
  end)

  it("to others while it writes a response of small pieces, compressed or not", function()
    local app, compressed = web.app(), web.app():use(web.compress())
    local function stream()
      return web.response { headers = { ["Content-Type"] = "text/plain" }, stream = function(out)
        gives_way(function(tick)
          for _ = 1, 5000 do
            out:write "a line\n"
            tick()
          end
        end)
      end }
    end
    app:get("/plain", stream)
    app:mount("/compressed", compressed:get("/", stream))
    served.serving(app, function(port)
      for _, path in ipairs { "/plain", "/compressed/" } do
        local res = assert(served.ask(port, "GET " .. path
          .. " HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n"))
        assert.equal(200, res.status)
        assert.is_nil(res.broken)
        if path == "/plain" then assert.equal(("a line\n"):rep(5000), res.body) end
      end
    end)
  end)

  it("to others while it goes through the parts of a form that has arrived", function()
    local parts = {}
    for i = 1, 3000 do
      parts[i] = ('--B\r\nContent-Disposition: form-data; name="f%d"\r\n\r\nv%d\r\n'):format(i, i)
    end
    local body, seen = table.concat(parts) .. "--B--\r\n", 0
    local app = web.app()
    app:post("/", function(req)
      assert.equal(#body, #req.body)
      gives_way(function(tick)
        for part in req:parts { max_fields = #parts } do
          seen = seen + 1
          assert.equal("v" .. seen, part:read())
          tick()
        end
      end)
      return "read"
    end)
    served.serving(app, function(port)
      local res = served.post(port, "/", body, "Content-Type: multipart/form-data; boundary=B\r\n")
      assert.equal("read", res.body)
    end)
    assert.equal(#parts, seen)
  end)
end)

describe("giving way", function()
  it("comes after the call has done its work: a check before the call stays valid", function()
    local queue, got = ml.queue(), 0
    for i = 1, 5000 do queue:try_put(i) end
    local function drain()
      local last = 0
      while queue:len() > 0 do
        local value = queue:get()
        assert.is_true(value > last)
        last, got = value, got + 1
      end
    end
    ml.gather(drain, drain, drain)
    assert.equal(5000, got)
  end)

  it("loses nothing when a cancel comes meanwhile", function()
    local queue, got = ml.queue(), 0
    for i = 1, 3000 do queue:try_put(i) end
    local task = ml.spawn(function()
      while true do
        assert.equal(got + 1, queue:get())
        got = got + 1
      end
    end)
    while got == 0 do ml.sleep(0) end
    assert.is_true(got < MOST)
    task:cancel()
    ml.wait { task }
    assert.equal(3000, got) -- it went on until it had to wait
    assert.equal("cancelled", task:status())
  end)

  it("does not happen in a clean-up while a cancel is pending: its calls need no wait", function()
    local queue, cleaned = ml.queue(), false
    local task = ml.spawn(function()
      local _ <close> = setmetatable({}, { __close = function()
        for i = 1, 5000 do queue:put(i) end
        cleaned = true
      end })
      ml.sleep(1000)
    end)
    ml.sleep(0)
    task:cancel()
    ml.wait { task }
    assert.is_true(cleaned)
    assert.equal("cancelled", task:status())
    assert.equal(5000, queue:len())
  end)

  it("does not happen where a task cannot be suspended", function()
    local queue = ml.queue()
    local text = ("x"):rep(5000):gsub("x", function()
      queue:put "y"
      return queue:get()
    end)
    assert.equal(("y"):rep(5000), text)
  end)

  it("happens in generators, too, and the values stay in order", function()
    local queue = ml.queue()
    for i = 1, 5000 do queue:try_put(i) end
    gives_way(function(tick)
      local numbers = coroutine.wrap(function()
        for _ = 1, 5000 do coroutine.yield(queue:get()) end
      end)
      for i = 1, 5000 do
        assert.equal(i, numbers())
        tick()
      end
    end)
  end)
end)
