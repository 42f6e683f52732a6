--- `moonloop serve --inspect` for the specs of the inspector.
local ml = require "moonloop"
local folders = require "spec.support.folder"
local processes = require "spec.support.process"

local M = {}

local WAIT = 100 -- seconds that something may take to happen

local Inspected = {}
Inspected.__index = Inspected

-- Reads the line of a program with --inspect that says where its page is.
local function of(process, more)
  local page, token = (process:line() or "")
    :match "^moonloop %S+: the inspector is at (http://127%.0%.0%.1:%d+)/#(%x+)$"
  if not page then error("the inspector has not started: " .. process:errors(), 3) end
  more.process, more.pid, more.page, more.token = process, math.tointeger(tonumber(process.pid)), page, token
  more.port = tonumber(page:match "%d+$")
  return setmetatable(more, Inspected)
end

--- The inspector of a program that was started, whose next line says where it is.
function M.of(process) return of(process, {}) end

--- Serves an app of that source, behind a first line that makes `ml` and `app` known, with --inspect. `url` is the
-- app's; `page`, `token` and `port` are the inspector's. Without `options` it does not report what holds up its loop.
function M.start(source, options)
  local folder = folders.new {
    ["app.lua"] = 'local ml = require "moonloop" local app = ml.web.app()\n' .. source .. "\nreturn app",
  }
  local process = processes.start(("serve app.lua --port 0 --inspect %s"):format(options or "--block-limit 0"),
    ("cd '%s';"):format(folder.path))
  local url = (process:line() or ""):match "http://[%d.]+:%d+"
  return of(process, { folder = folder, url = url })
end

--- A response of the inspector; its body as a value if it is JSON.
function Inspected:ask(path, body)
  local res = assert(ml.http.request { method = body and "POST" or "GET", url = self.page .. path, json = body,
    headers = { authorization = "Bearer " .. self.token } })
  local is_json = (res.headers["content-type"] or ""):find "^application/json"
  return is_json and ml.json.decode(res.body) or res.body, res.status
end

--- f(line) is called for each line of the stream, until it gives something, which is the result.
function Inspected:watch(f)
  return assert(ml.timeout(WAIT, function()
    local res <close> = assert(ml.http.get(self.page .. "/stream",
      { headers = { authorization = "Bearer " .. self.token }, timeout = math.huge, stream = true }))
    local rest = ""
    for chunk in res:chunks() do
      rest = rest .. chunk
      for line in rest:gmatch "([^\n]*)\n" do
        local value = f(ml.json.decode(line))
        if value then return value end
      end
      rest = rest:match "[^\n]*$"
    end
  end))
end

--- The same for each thing that a process says: f(data, process).
function Inspected:watch_data(f)
  return self:watch(function(line)
    for _, process in ipairs(line.processes or {}) do
      local value = process.data and f(process.data, process)
      if value then return value end
    end
  end)
end

--- The group with that name, once there are `count` tasks in it.
function Inspected:group(name, count)
  return self:watch_data(function(data, process)
    for _, group in ipairs(data.groups) do
      if group.name == name and group.n == count then
        group.pid = process.pid
        return group
      end
    end
  end)
end

--- Ends it; fails if that is not clean.
function Inspected:__close()
  self.process:close()
  self.folder:close()
end

return M
