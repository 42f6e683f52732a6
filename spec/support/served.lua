--- `moonloop serve` with worker processes, for the specs of what goes on between processes.
local ml = require "moonloop"
local common = require "spec.support"
local folders = require "spec.support.folder"
local left = require "spec.support.left"
local processes = require "spec.support.process"
local web = require "spec.support.web"

local M = {}

local WAIT = 100 -- seconds that something may take to happen

local Served = {}
Served.__index = Served

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

--- Starts `moonloop serve app.lua` with `options` in a new folder, `path`, with the `files`, name to
-- content. It is ended, and the folder gone, when the variable `<close>` is left. Where it says that it
-- serves, `line` is that and `port` where; else it has ended, or will. It does not report what holds up
-- its loop, which a busy machine can.
function M.start(files, options) return M.start_at("--port 0", files, options) end

--- The same with the options `where`, which say where it listens. `through`: the arguments of as_service.c,
-- which starts it.
function M.start_at(where, files, options, through)
  local folder = folders.new(files)
  if through then through = ("'%s' "):format((common.binary:gsub("[^/]+$", "spec/as_service"))) .. through end
  local process = processes.start(("serve app.lua --block-limit 0 %s %s"):format(where, options or ""),
    ("cd '%s';"):format(folder.path), through)
  local line = process:line()
  local port = line and tonumber(line:match ":(%d+) ")
  return setmetatable({ folder = folder, path = folder.path, process = process, pid = process.pid, line = line,
    port = port }, Served)
end

--- Writes a file of the folder.
function Served:write(name, content) folders.write(self.path .. "/" .. name, content) end

--- What has been written to the standard error.
function Served:errors() return self.process:errors() end

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

--- The same from its Unix socket of that name in its folder.
function Served:get_from(name, target)
  return assert(web.ask(self.path .. "/" .. name, web.request("GET", target or "/")))
end

--- A connection to it.
function Served:connect() return assert(common.rawtcp.connect(self.port)) end

--- Asks for `target` on the connection `conn`, which stays open.
function M.ask(conn, target)
  assert(conn:send(web.request("GET", target or "/")))
  return web.receive(conn)
end

--- Sends a signal, to the supervisor or to the process `pid`.
function Served:kill(signal, pid) assert(os.execute(("kill -%s %s"):format(signal, pid or self.pid))) end

--- What `moonloop ps` says of it.
function Served:ps(options)
  return (processes.sh(("%s ps %s %s"):format(processes.quote(common.binary), options or "", self.pid)))
end

--- Waits for its end, while tasks go on: the exit status, and what it wrote to the standard output after
-- its first line.
function Served:finish()
  M.wait_until("it does not end: " .. self:errors(), function() return not left.is_alive(self.pid) end)
  local output, status, errors = self.process:wait()
  assert(not errors:find("Sanitizer", 1, true), errors)
  return status, output
end

function Served:__close()
  self.process:close()
  self.folder:close()
end

return M
