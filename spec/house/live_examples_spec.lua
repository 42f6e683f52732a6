-- scripts/examples/live: its pages in Chromium, with networks that fail, and its programs.
local ml = require "moonloop"
local left = require "spec.support.left"
local npm = require "spec.support.npm"
local process = require "spec.support.process"
local redis = require "spec.support.redis"
local support = require "spec.support"
local eventually = require("spec.support.tasks").eventually

local FOLDER = "scripts/examples/live/"

--- Serves an example while f(url) runs; it ends well, and says nothing on its standard error, unless it has not
-- noticed yet that a page is closed.
local function serving(name, f, options, before)
  local server <close> = process.serve(FOLDER .. name .. ".lua", "--block-limit 0 " .. (options or ""), before)
  f(server.url)
  server:kill "TERM"
  eventually(function() return not left.is_alive(server.pid) end) -- our sides of its WebSockets take part in that
  local _, status, errors = server:wait()
  assert.equal(0, status, errors)
  assert.equal("", (errors:gsub("[^\n]*moonloop: stopping: [^\n]*\n", "")))
end

npm.block(describe, pending, "the page of", function()
  for _, name in ipairs { "chat", "cursors", "dashboard" } do
    it(name .. ".lua is seen alike in two windows, after a reload and after a lost network", function()
      serving(name, function(url) assert.equal("done\n", npm.run("live.mjs", name, url)) end)
    end)
  end
end)

describe("the example", function()
  --- The next message of a kind.
  local function next_of(ws, kind)
    while true do
      local value = assert(ws:receive_json())
      if value.kind == kind then return value end
    end
  end

  --- A WebSocket of the server at this URL.
  local function open(url, path) return assert(ml.ws.connect(url:gsub("^http", "ws") .. path, { timeout = 60 })) end

  it("chat.lua keeps the last messages of a room, and says what it refuses", function()
    serving("chat", function(url)
      local ann <close> = open(url, "/rooms/lobby?name=Ann")
      for n = 1, 60 do ann:send_json { id = "a" .. n, text = "message " .. n } end
      for n = 1, 60 do assert.equal("message " .. n, next_of(ann, "said").text) end
      local ben <close> = open(url, "/rooms/lobby?name=Ben")
      for n = 11, 60 do assert.equal("a" .. n, assert(ben:receive_json()).id) end
      assert.equal("Ben", next_of(ann, "joined").name)
      ben:send '{"kind":"beat"}'
      next_of(ben, "beat")
      ben:close()
      assert.equal("Ben", next_of(ann, "left").name)
      local REFUSED = { ["/rooms/a.b?name=Ann"] = "that is no name of a room",
        ["/rooms/lobby"] = "please say who you are" }
      for path, reason in pairs(REFUSED) do
        local ws <close> = open(url, path)
        local _, err = ws:receive()
        assert.same({ "closed", 4000, reason }, { err.kind, err.code, err.reason })
      end
      ann:send '{"id": "", "text": ""}'
      local err
      repeat local message; message, err = ann:receive() until not message
      assert.same({ 4000, "that is no message" }, { err.code, err.reason })
    end)
  end)

  it("chat.lua is one over two workers with Redis", function()
    local why = redis.missing()
    if why then return pending(why) end
    local server <close> = redis.start()
    serving("chat", function(url)
      local sockets = {}
      for n = 1, 8 do
        sockets[n] = open(url, "/rooms/lobby?name=N" .. n)
        next_of(sockets[n], "joined")
      end
      sockets[1]:send_json { id = "one", text = "to all" }
      for n = 1, 8 do assert.equal("to all", next_of(sockets[n], "said").text) end
      local late <close> = open(url, "/rooms/lobby?name=Late")
      assert.equal("to all", next_of(late, "said").text)
      for n = 1, 8 do sockets[n]:close() end
    end, "--workers 2", ("export REDIS_URL='%s';"):format(server.url))
  end)

  it("ticker.lua follows its ticker through a lost connection", function()
    local output, status = process.sh(("'%s' run --block-limit 0 %sticker.lua"):format(support.binary, FOLDER))
    assert.equal(0, status, output)
    assert.matches("TEA%-EUR +4%.%d%d\n", output)
    assert.matches("RICE%-EUR +1%.%d%d\n", output)
    assert.matches("\nconnection lost %(.-%); the next attempt is in 0%.1 s\n", output)
    assert.matches("\nenough\n$", output)
    assert.falsy(output:find "SALT")
  end)
end)
