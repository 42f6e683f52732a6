--- Runs what the command line asks for in the main task: LUA_INIT, -e and -l, then the script or the
-- command, then the prompt.

--- Returns the chunk, or ends the process with the error.
local function check(chunk, message)
  if chunk then return chunk end
  io.stderr:write("moonloop: ", message, "\n")
  os.exit(1)
end

--- "NAME=MODULE" or "MODULE". The default name is the module's, without a version after a hyphen.
local function require_into_global(text)
  local name, module = text:match "^(.-)=(.*)$"
  if not name then name, module = text:match "^[^-]*", text end
  _G[name] = require(module)
end

local steps = {
  e = function(text) check(load(text, "=(command line)"))() end,
  l = require_into_global,
}

--- LUA_INIT: a piece of code, or @ and the name of a file.
local function run_init(name, text)
  local file = text:match "^@(.*)$"
  if file then check(loadfile(file))() else check(load(text, "=" .. name))() end
end

--- @param request table: init_name, init (nil: none); steps, a list of {option, text}; script, command
--- (a module that returns a function), interactive, version
--- @param ... any for the script or the command
--- @return any what the prompt or the command returns
return function(request, ...)
  if request.init then run_init(request.init_name, request.init) end
  for _, step in ipairs(request.steps) do steps[step[1]](step[2]) end
  if request.command then return require(request.command)(...) end
  if request.script then
    local chunk = check(loadfile(request.script ~= "-" and request.script or nil))
    if not request.interactive then return chunk(...) end
    chunk(...)
  end
  if request.interactive then return require "moonloop.repl"(request.version) end
end
