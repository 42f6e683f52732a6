--- nginx, started by the specs in a folder of theirs.
local folders = require "spec.support.folder"
local process = require "spec.support.process"

local M = {}

local PROGRAM = "PATH=$PATH:/usr/sbin nginx"

-- All paths that nginx would have elsewhere are in its folder.
local FRAME = [[
daemon off;
master_process off;
pid nginx.pid;
events {}
http {
  access_log off;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
%s
}]]

--- Is nginx there, with the module if one is named ("http_v2")?
function M.is_there(module)
  return os.execute(("%s -V 2>&1 | grep -q '%s'"):format(PROGRAM, module and module .. "_module" or "nginx version"))
end

local Nginx = {}
Nginx.__index = Nginx

local function folder_with(http)
  return folders.new { ["nginx.conf"] = (FRAME:gsub("%%s", function() return http end)) }
end

--- What `nginx -t` says of what stands inside of `http { }`, and its status.
function M.check(http)
  local folder <close> = folder_with(http)
  return process.sh(("cd %s && %s -t -p . -c nginx.conf -e error.log 2>&1"):format(process.quote(folder.path), PROGRAM))
end

--- Starts nginx with what stands inside of `http { }`. A shell command, if one is given, runs in its
-- folder before. It may not listen yet. A variable `nginx <close>` ends it.
function M.start(http, before)
  local folder = folder_with(http)
  local pipe = assert(io.popen(("cd %s && echo $$ && %s exec env %s -p . -c nginx.conf -e error.log 2>/dev/null")
    :format(process.quote(folder.path), before and before .. " 2>/dev/null && " or "", PROGRAM)))
  return setmetatable({ folder = folder, pipe = pipe, pid = pipe:read "l" }, Nginx)
end

function Nginx:close()
  os.execute("kill -TERM " .. self.pid)
  self.pipe:close()
  self.folder:close()
end

Nginx.__close = Nginx.close

return M
