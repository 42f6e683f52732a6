-- PostgreSQL servers that send without end.
local ml = require "moonloop"
local postgres = require "spec.support.postgres"
local support = require "spec.support"

local MB = 1 << 20
local PIECES, PIECE = 200, MB -- of a flood

local function message(kind, body) return kind .. (">I4"):pack(#body + 4) .. body end

local ready = message("Z", "I")
local greeting = message("R", (">I4"):pack(0)) .. message("S", "DateStyle\0ISO, MDY\0")
  .. message("K", (">I4I4"):pack(1, 2)) .. ready
local done = message("C", "SET\0") .. ready

--- A server that answers a message with the letter `to` by 200 MB of messages of `kind`, once `server.go` is set, or
-- by one message that says to have `length` bytes; queries by `done`. `server.asked` and `server.flooded` are events.
local function flooding(to, kind, length)
  local server = { asked = ml.event(), go = ml.event(), flooded = ml.event() }
  local piece = message(kind, ("x\0"):rep(100)):rep(PIECE // 205)
  local begin = length and kind .. (">I4"):pack(length) or ""
  server.net = assert(ml.net.listen("127.0.0.1", 0, function(conn)
    if not conn:read((">I4"):unpack(conn:read(4)) - 4) then return end
    conn:write(greeting)
    while true do
      local head = conn:read(5)
      if not head or #head < 5 then return end
      conn:read((">I4"):unpack(head, 2) - 4)
      local letter = head:sub(1, 1)
      if letter == to then
        server.asked:set()
        server.go:wait()
        local left = PIECES
        conn:write(begin)
        while left > 0 and conn:write(piece) do left = left - 1 end
        server.flooded:set()
      elseif letter == "Q" then
        conn:write(done)
      end
    end
  end))
  server.url = ("postgres://me@127.0.0.1:%d/db?sslmode=disable"):format(select(2, server.net:address()))
  return setmetatable(server, { __close = function() server.net:stop(0) end })
end

--- MB that this process has in memory.
local function resident()
  local file <close> = assert(io.open "/proc/self/statm")
  return tonumber(file:read "a":match "^%d+ (%d+)") * 4096 / MB
end

describe("a PostgreSQL server that sends without end", function()
  if postgres.missing() then return end -- libpq may be, too

  --- Asks the server, `meanwhile` what is done then, and fails where it makes the process grow.
  local function check(server, meanwhile, opts)
    local db = ml.sql.open(server.url, opts)
    local task = ml.spawn(function() return db:query "select 1" end)
    server.asked:wait()
    meanwhile(task)
    collectgarbage()
    local before = resident()
    server.go:set()
    server.flooded:wait()
    local more = support.sanitized and 0 or resident() - before
    task:cancel()
    db:close()
    assert.is_true(more < PIECES / 4, more .. " MB")
  end

  for _, kind in ipairs { "S", "N", "C", "D" } do
    it("fills no memory while a connection is set up: " .. kind, function()
      local server <close> = flooding("Q", kind)
      check(server, function() end)
    end)
  end

  for _, kind in ipairs { "D", "N", "S" } do
    it("fills no more than max_result with a reply that is waited for: " .. kind, function()
      local server <close> = flooding("P", kind)
      check(server, function() end, { max_result = MB })
    end)
  end

  for _, kind in ipairs { "D", "N" } do
    it("fills no memory with one message that is too long: " .. kind, function()
      local server <close> = flooding("P", kind, PIECES * MB + 100)
      check(server, function() end, { max_result = MB })
    end)
  end

  it("fills no memory with the reply to a statement that nobody waits for any more", function()
    local server <close> = flooding("P", "D")
    check(server, function(task) task:cancel() end)
  end)
end)
