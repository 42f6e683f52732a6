-- Replies that are larger than `max_reply`, and those that nobody waits for.
local ml = require "moonloop"
local redis = require "spec.support.redis"
local support = require "spec.support"

local MB = 1 << 20
local MOST <const> = 30

local function assert_refused(value, err)
  assert.is_nil(value)
  assert(ml.is_error(err, "limit"), tostring(err))
  assert.matches("its reply is larger than max_reply (30 bytes)", err.message, 1, true)
end

local LARGE = {
  text = "$40\r\n" .. ("x"):rep(38) .. "\r\n\r\n",
  list = "*8\r\n" .. (":12345\r\n"):rep(8),
  ["list of texts"] = "*3\r\n$3\r\nabc\r\n$20\r\n" .. ("\n"):rep(20) .. "\r\n$-1\r\n",
  ["list in a list"] = "*2\r\n*3\r\n:1\r\n$12\r\n" .. ("x"):rep(12) .. "\r\n*0\r\n%1\r\n+a\r\n+b\r\n",
  map = "%2\r\n+first\r\n$4\r\n1234\r\n+second\r\n*1\r\n*1\r\n_\r\n",
  ["text with attributes"] = "|1\r\n+ttl\r\n:3600\r\n$15\r\n" .. ("x"):rep(15) .. "\r\n",
}

describe("a reply larger than max_reply", function()
  for what, reply in pairs(LARGE) do
    it("is an error wherever it is cut, and those behind it are whole: a " .. what, function()
      local cut = 1
      local server <close> = redis.fake(function(conn)
        while redis.read_command(conn) do
          if not conn:send(reply:sub(1, cut)) then return end
          ml.sleep(0)
          if not conn:send(reply:sub(cut + 1) .. "$4\r\nnext\r\n") then return end
          redis.read_command(conn)
        end
      end)
      local r <close> = ml.redis.client(server.url, { max_reply = MOST })
      while cut <= #reply do
        local large = ml.spawn(function() return r:get "large" end)
        local behind = ml.spawn(function() return r:get "behind" end)
        assert_refused(large:await())
        assert.equal("next", behind:await(), cut)
        cut = cut + 3
      end
      assert.equal(1, server.connections)
    end)
  end

  it("may be that of a whole pipeline", function()
    local server <close> = redis.fake(function(conn)
      while redis.read_command(conn) do
        if not conn:send "+ten bytes\r\n" then return end
      end
    end)
    local r <close> = ml.redis.client(server.url, { max_reply = MOST })
    local function ask(n)
      return r:pipeline(function(p) for _ = 1, n do p:get "x" end end)
    end
    assert.equal(2, #ask(2))
    assert_refused(ask(3))
    assert.equal("ten bytes", r:get "x")
    assert.equal(1, server.connections)
  end)

  it("is none where it is a push that nobody asked for", function()
    local push = ">2\r\n+invalidate\r\n$100\r\n" .. ("x"):rep(100) .. "\r\n"
    local server <close> = redis.fake(function(conn)
      while redis.read_command(conn) do
        for from = 1, #push, 7 do
          conn:send(push:sub(from, from + 6))
          ml.sleep(0)
        end
        if not conn:send(push .. "+OK\r\n") then return end
      end
    end)
    local r <close> = ml.redis.client(server.url, { max_reply = MOST })
    for _ = 1, 3 do assert.equal("OK", r:get "x") end
  end)

  it("ends the connection of a subscription, which has a gap", function()
    local first = true
    local server <close> = redis.fake(function(conn)
      redis.read_command(conn)
      conn:send "+PONG\r\n"
      redis.read_command(conn)
      conn:send(">3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n")
      local text = first and ("x"):rep(2000) or "hello"
      first = false
      conn:send((">3\r\n$7\r\nmessage\r\n$1\r\na\r\n$%d\r\n"):format(#text) .. text:sub(1, 5))
      ml.sleep(0)
      conn:send(text:sub(6) .. "\r\n")
      redis.read_command(conn)
    end)
    local r <close> = ml.redis.client(server.url, { max_reply = 1000 })
    local seen = {}
    for m in r:subscribe "a" do
      seen[#seen + 1] = m.gap and "gap" or m.payload
      if #seen == 2 then break end
    end
    assert.same({ "gap", "hello" }, seen)
  end)

  it("is a number of bytes", function()
    for _, wrong in ipairs { 0, -1, 1.5, "1" } do
      local ok, err = pcall(ml.redis.client, "redis://127.0.0.1", { max_reply = wrong })
      assert.is_false(ok)
      assert.matches("max_reply", tostring(err), 1, true)
    end
  end)
end)

describe("a Redis server that sends without end", function()
  --- MB that this process has in memory.
  local function resident()
    local file <close> = assert(io.open "/proc/self/statm")
    return tonumber(file:read "a":match "^%d+ (%d+)") * 4096 / MB
  end

  local PIECES = 100 -- of 1 MB

  --- Calls f(r) with a client of a server that answers by `head` and PIECES of `piece`; then it may not have grown.
  local function check(head, piece, f)
    local asked, flooded = ml.event(), ml.event()
    piece = piece:rep(MB // #piece)
    local server <close> = redis.fake(function(conn)
      redis.read_command(conn)
      asked:set()
      conn:send(head)
      for _ = 1, PIECES do
        if not conn:send(piece) then break end
      end
      flooded:set()
    end)
    local r <close> = ml.redis.client(server.url, { max_reply = 10 * MB })
    collectgarbage()
    local before = resident()
    f(r, asked)
    flooded:wait()
    local more = support.sanitized and 0 or resident() - before
    assert.is_true(more < PIECES / 3, more .. " MB")
  end

  for what, pieces in pairs {
    text = { "$300000000\r\n", "x" },
    list = { "*900000000\r\n", ":123456789\r\n" },
    push = { ">900000000\r\n", "+a status\r\n" },
  } do
    it("fills no memory, whether somebody waits or not: a " .. what, function()
      check(pieces[1], pieces[2], function(r)
        if what ~= "push" then assert.equal("limit", select(2, r:get "x").kind) else ml.spawn(r.get, r, "x") end
      end)
      check(pieces[1], pieces[2], function(r, asked)
        local task = ml.spawn(function() return r:get "x" end)
        asked:wait()
        task:cancel()
      end)
    end)
  end

  it("fills no memory while a connection is made", function()
    local flooded = ml.event()
    local server <close> = redis.fake(function() end, function(conn)
      conn:send "%100000000\r\n"
      local piece = ("+a\r\n"):rep(MB // 4)
      for _ = 1, PIECES do
        if not conn:send(piece) then break end
      end
      flooded:set()
    end)
    local r <close> = ml.redis.client(server.url)
    local before = resident()
    local task = ml.spawn(function() return r:get "x" end)
    flooded:wait()
    local more = support.sanitized and 0 or resident() - before
    task:cancel()
    assert.is_true(more < PIECES / 3, more .. " MB")
  end)
end)
