--- Programs in processes of their own, for what a person at a terminal or another process sees.
local support = require "spec.support"
local folders = require "spec.support.folder"

local M = {}

local LIMIT = 300 -- seconds that a program may take which is waited for

--- One argument of a shell command.
function M.quote(text) return "'" .. text:gsub("'", "'\\''") .. "'" end

local binary = M.quote(support.binary)

--- Runs a shell command to its end: what it printed on both channels, and its exit status.
function M.sh(command)
  local pipe = assert(io.popen(command .. " 2>&1"))
  local output = pipe:read("a")
  return output, select(3, pipe:close())
end

--- Runs Lua code, behind a first line that makes `ml` known, as `moonloop run [OPTIONS] FILE`. Gives
-- what it printed on both channels, with the file's name shown as SCRIPT, and its exit status. Without
-- options there are no reports of what holds up the loop, which a busy machine can. `before` is for the shell
-- to do first: "ulimit -n 24;".
function M.run(code, options, before)
  local script <close> = folders.file('local ml = require "moonloop"\n' .. code)
  local command = "%s exec timeout %d %s run %s '%s'"
  local output, status = M.sh(command:format(before or "", LIMIT, binary, options or "--block-limit 0", script.path))
  return (output:gsub(script.path:gsub("%p", "%%%0"), "SCRIPT")), status
end

--- Runs `moonloop test ARGUMENTS` on a spec file with this source, behind a first line that makes `ml`
-- and `clock` known. Gives what it printed on both channels, and its exit status.
function M.test(source, arguments)
  local folder <close> = folders.new {
    ["fixture_spec.lua"] = 'local ml, clock = require "moonloop", require "moonloop.clock"\n' .. source,
  }
  return M.sh(("cd '%s' && timeout %d %s test %s fixture_spec.lua"):format(folder.path, LIMIT, binary, arguments))
end

local Process = {}
Process.__index = Process

--- Starts `moonloop ARGUMENTS`, behind the shell's words `before` ("ulimit -n 24;") and those of a program
-- that becomes it, `through`. `process.pid` is its number as a text; `process:line()` reads what it prints. A
-- variable `process <close>` kills it.
function M.start(arguments, before, through)
  return M.start_program(("%s %s %s"):format(through or "", binary, arguments), before)
end

--- The same for any command that is a program and its arguments.
function M.start_program(program, before)
  local errors = folders.file ""
  local command = "%s echo $$; exec %s 2>>%s"
  local pipe = assert(io.popen(command:format(before or "", program, errors.path)))
  return setmetatable({ pipe = pipe, pid = pipe:read("l"), error_file = errors }, Process)
end

--- Starts `moonloop serve FILE OPTIONS` on a free port; `process.url` and `process.port` are where.
function M.serve(path, options, before)
  local process = M.start(("serve %s --port 0 %s"):format(M.quote(path), options or ""), before)
  process.url, process.port = (process:line() or ""):match("(https?://[^/%s]+:(%d+))")
  if not process.url then
    local message = "the server has not started: " .. process:errors()
    process:close()
    error(message, 2)
  end
  return process
end

--- The next line of its standard output; nil when that is closed.
function Process:line() return self.pipe:read("l") end

--- What it has written to its standard error so far.
function Process:all_errors() return folders.read(self.error_file.path) end

--- The same without what every server says that root starts, as where the specs may be run.
function Process:errors() return (self:all_errors():gsub("[^\n]*running as root[^\n]*\n", "")) end

--- Forgets what it has written to its standard error so far.
function Process:forget_errors() folders.write(self.error_file.path, "") end

--- Sends it a signal, by name.
function Process:kill(signal) assert(os.execute(("kill -%s %s"):format(signal, self.pid))) end

--- Waits for its end: the rest of its standard output, its exit status, its standard error.
function Process:wait()
  local output = self.pipe:read("a")
  local _, _, status = self.pipe:close()
  self.pipe = nil
  return output, status, self:errors()
end

--- Sends SIGTERM and waits for the end, as `wait` does.
function Process:stop()
  self:kill("TERM")
  return self:wait()
end

--- Kills it if it has not been waited for, and removes what was written for it.
function Process:close()
  if self.pipe then
    os.execute(("kill -KILL %s 2>/dev/null"):format(self.pid))
    self.pipe:close()
    self.pipe = nil
  end
  self.error_file:close()
end

Process.__close = Process.close

return M
