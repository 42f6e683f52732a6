--- What the specs share: finds the test-only C modules beside the running binary.
-- `local rawtcp = require "spec.support".rawtcp`
local lfs = require "lfs"

local binary = assert(lfs.symlinkattributes("/proc/self/exe")).target
local folder = binary:match("^(.*)/[^/]+$")
package.cpath = folder .. "/spec/?.so;" .. package.cpath

--- Runs Lua code as `moonloop [OPTIONS] FILE`. Gives what it printed on both channels together, the
-- file's name shown as SCRIPT, and its exit status.
local function run(code, options)
  local path = os.tmpname()
  local file = assert(io.open(path, "w"))
  file:write('local ml = require "moonloop"\n', code)
  file:close()
  local pipe = assert(io.popen(("'%s' run %s '%s' 2>&1"):format(binary, options or "", path)))
  local output = pipe:read("a")
  local _, _, status = pipe:close()
  os.remove(path)
  return (output:gsub(path:gsub("%p", "%%%0"), "SCRIPT")), status
end

return {
  run = run,
  --- The path of the moonloop that runs the specs.
  binary = binary,
  rawtcp = require "rawtcp",
  --- run_loop() -> boolean: starts the loop of the calling task's runtime, if that can be.
  run_loop = require "loop".run,
}
