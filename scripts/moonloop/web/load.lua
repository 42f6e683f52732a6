--- `ml.web.load`: the app of a file, as `moonloop serve` loads it.
local fail = require "moonloop.core".fail
local is_app = require "moonloop.web.app".is_app

local M = {}

--- Puts the folder of `file` first on package.path, for the app's own modules.
local function find_modules_beside(file)
  local folder = file:match "^(.*)/[^/]*$" or "."
  local templates = ("%s/?.lua;%s/?/init.lua;"):format(folder, folder)
  if package.path:sub(1, #templates) ~= templates then package.path = templates .. package.path end
end

--- run(file) -> true, what it returns | nil, message about the file itself. Raises what its code raises.
function M.run(file)
  local chunk, message = loadfile(file)
  if not chunk then return nil, message end
  find_modules_beside(file)
  return true, (chunk(file))
end

--- open(file) -> app | nil, message about the file itself. Raises what its code raises.
function M.open(file)
  local ok, app = M.run(file)
  if not ok then return nil, app end
  if is_app(app) then return app end
  return nil, ("%s returned %s, not an app: it has to end with 'return app', where app = ml.web.app()")
    :format(file, app == nil and "nothing" or "a " .. type(app))
end

--- open_or_exit(file) -> app, for a command: what is wrong with the file itself ends the process.
function M.open_or_exit(file)
  local app, message = M.open(file)
  if app then return app end
  require "moonloop.signals".say("error", message)
  os.exit(1)
end

--- load(file) -> app: the app that the file returns. Its folder is put first on package.path, so that
-- it finds its modules wherever the program was started.
function M.load(file)
  if type(file) ~= "string" then
    fail(("bad argument #1 to 'ml.web.load' (string expected, got %s)"):format(type(file)))
  end
  local app, message = M.open(file)
  if not app then fail(message) end
  return app
end

return M
