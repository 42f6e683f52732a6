--- `moonloop serve` as a process of its own, for the specs of what goes on between processes.
local ml = require "moonloop"
local common = require "spec.support"
local folder = require "spec.support.folder"
local web = require "spec.support.web"

local M = {}

local WAIT = 20 -- seconds that something may take to happen

local Served = {}
Served.__index = Served

local function read(path)
  local file <close> = assert(io.open(path))
  return file:read("a")
end

--- Waits until `f()` gives something, and gives that; `what` is said where it does not.
function M.wait_until(what, f)
  return assert(ml.timeout(WAIT, function()
    while true do
      local value = f()
      if value then return value end
      ml.sleep(0.01)
    end
  end), what)
end

--- Starts `moonloop serve app.lua` with `options` in a new folder with the `files`, name to content.
-- It is ended, and the folder gone, when the variable `<close>` is left. Where it says that it serves,
-- `line` is that and `port` where; else it has ended, or will.
function M.start(files, options)
  local place = folder.new(files)
  local self = setmetatable({ folder = place, path = place.path }, Served)
  self.pipe = assert(io.popen(("cd '%s' && echo $$ && exec '%s' serve app.lua --port 0 %s 2>errors"):format(self.path,
    common.binary, options or "")))
  self.pid = self.pipe:read("l")
  self.line = self.pipe:read("l")
  self.port = self.line and tonumber(self.line:match ":(%d+) ")
  return self
end

--- Writes a file of the folder.
function Served:write(name, content) folder.write(self.path .. "/" .. name, content) end

--- What has been written to the standard error.
function Served:errors() return read(self.path .. "/errors") end

--- Waits until the standard error matches `pattern`, `count` times (1); gives it all.
function Served:wait_for(pattern, count)
  local text
  local ok, err = pcall(M.wait_until, "", function()
    text = self:errors()
    return select(2, text:gsub(pattern, "")) >= (count or 1)
  end)
  if not ok then error(("'%s' is not in what it said (%s): %s"):format(pattern, tostring(err), text), 2) end
  return text
end

--- A response to GET, on a connection of its own.
function Served:get(target) return assert(web.get(self.port, target or "/")) end

--- A connection to it.
function Served:connect() return assert(common.rawtcp.connect(self.port)) end

--- Asks for `target` on the connection `conn`, which stays open.
function M.ask(conn, target)
  assert(conn:send(web.request("GET", target or "/")))
  return web.receive(conn)
end

function Served:kill(signal, pid)
  assert(os.execute(("kill -%s %s"):format(signal, pid or self.pid)))
end

--- What `moonloop ps` says of it.
function Served:ps(options)
  local pipe = assert(io.popen(("'%s' ps %s %s 2>&1"):format(common.binary, options or "", self.pid)))
  local output = pipe:read("a")
  pipe:close()
  return output
end

--- Is there such a process, that has not ended?
function M.is_alive(pid)
  local file = io.open("/proc/" .. pid .. "/stat")
  if not file then return false end
  local state = file:read("a"):match "%) (%a)"
  file:close()
  return state ~= "Z" and state ~= "X"
end

--- Waits for its end: the exit status, and what it wrote to the standard output after its first line.
function Served:finish()
  M.wait_until("it does not end: " .. self:errors(), function() return not M.is_alive(self.pid) end)
  local output = self.pipe:read("a")
  local _, how, status = self.pipe:close()
  self.pipe = nil
  assert(not self:errors():find("Sanitizer", 1, true), self:errors())
  return how == "exit" and status or how .. " " .. status, output
end

function Served:__close()
  if self.pipe then
    os.execute(("kill -TERM %s 2>/dev/null; sleep 0.05; kill -TERM %s 2>/dev/null"):format(self.pid, self.pid))
    self.pipe:close()
  end
  getmetatable(self.folder).__close(self.folder)
end

return M
