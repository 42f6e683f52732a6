-- Operations of random programs (soak.lua) on streams and files.
local books = require "spec.soak.books"
local core = require "moonloop.core"
local lfs = require "lfs"
local ml = require "moonloop"
local programs = require "spec.soak.programs"

local random = math.random
local catch, is_own_cancel = ml.catch, core.is_own_cancel
local check, raised, chance = books.check, books.raised, programs.chance

local ops = {}

local function text() return string.char(random(0, 255)):rep(random(0, 3000)) .. random(1000) end

--- What an operation raised: a cancel or a limit, nothing else.
local function broken_off(record, err, what)
  check(is_own_cancel(err) or type(err) == "table" and err.kind == "timeout", "%s raised %s", what, tostring(err))
  raised(record, err)
end

--- A read that may be broken off by a limit, which loses nothing; adds what it got to the list.
local function read_limited(record, conn, got)
  local part
  record.limits = record.limits + 1
  local ok, err = catch(ml.timeout, programs.short_time(), function() part = conn:read_some(random(1, 4000)) end)
  record.limits = record.limits - 1
  if part then got[#got + 1] = part end
  if not ok then raised(record, err) end
end

--- What is written to a connection comes out at its other end, whole and in order.
function ops.connection(record)
  if chance(95) then return end
  local ok, err = catch(function()
    local server <close> = assert(ml.net.listen("127.0.0.1", 0))
    local _, port = server:address()
    local conn <close> = assert(ml.net.connect("127.0.0.1", port, { timeout = math.huge }))
    local peer <close> = assert(server:accept())
    local sent, got = {}, {}
    for i = 1, random(0, 6) do
      sent[i] = text()
      assert(conn:write(sent[i]))
      if chance(70) then read_limited(record, peer, got) end
    end
    assert(conn:shutdown())
    got[#got + 1] = peer:read "a"
    check(table.concat(got) == table.concat(sent), "a connection changed what was written")
  end)
  if not ok then broken_off(record, err, "a connection") end
end

--- Files hold what was written, and a temporary folder goes with its block.
function ops.files(record)
  if chance(95) then return end
  local path
  local ok, err = catch(function()
    local folder <close> = assert(ml.fs.temp_dir())
    path = folder.path
    local name, content = path .. "/file", text()
    assert(ml.fs.write(name, content))
    for _ = 1, random(0, 4) do
      local what = random(4)
      if what == 1 then
        content = text()
        assert(ml.fs.write(name, content, { atomic = true }))
      elseif what == 2 then
        local more = text()
        local file <close> = assert(ml.fs.open(name, "a"))
        assert(file:write(more))
        content = content .. more
      elseif what == 3 then
        assert(ml.fs.rename(name, name .. "r"))
        name = name .. "r"
      else
        check(ml.fs.stat(name).size == #content, "a file has another size")
      end
      check(ml.fs.read(name) == content, "a file has another content")
    end
    check(#ml.fs.list(path) == 1, "a folder has other files")
  end)
  check(not path or not lfs.attributes(path), "a temporary folder is left behind its block")
  if not ok then broken_off(record, err, "a file") end
end

return ops
