--- HAProxy, started by the specs in a folder of theirs.
local folders = require "spec.support.folder"
local process = require "spec.support.process"

local M = {}

local PROGRAM = "PATH=$PATH:/usr/sbin haproxy"

--- Is HAProxy there?
function M.is_there() return os.execute(PROGRAM .. " -v >/dev/null 2>&1") end

local HAProxy = {}
HAProxy.__index = HAProxy

--- What `haproxy -c` says of a configuration, and its status; a warning counts as an error.
function M.check(config)
  local folder <close> = folders.new { ["haproxy.cfg"] = config .. "\n" }
  return process.sh(("cd %s && %s -c -dW -f haproxy.cfg 2>&1"):format(process.quote(folder.path), PROGRAM))
end

--- Starts HAProxy with a configuration. It may not listen yet. A variable `<close>` ends it.
function M.start(config)
  local folder = folders.new { ["haproxy.cfg"] = config .. "\n" }
  local pipe = assert(io.popen(("cd %s && echo $$ && exec env %s -db -q -f haproxy.cfg 2>errors")
    :format(process.quote(folder.path), PROGRAM)))
  return setmetatable({ folder = folder, pipe = pipe, pid = pipe:read "l" }, HAProxy)
end

--- What it has written to the standard error.
function HAProxy:errors() return folders.read(self.folder.path .. "/errors") end

function HAProxy:close()
  os.execute("kill -TERM " .. self.pid)
  self.pipe:close()
  self.folder:close()
end

HAProxy.__close = HAProxy.close

return M
