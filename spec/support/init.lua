--- What the specs share: finds the test-only C modules beside the running binary.
-- `local rawtcp = require "spec.support".rawtcp`
local lfs = require "lfs"

local binary = assert(lfs.symlinkattributes("/proc/self/exe")).target
local folder = binary:match("^(.*)/[^/]+$")

-- The project's folder: a fixture requires this from another one.
local project = debug.getinfo(1, "S").source:match "^@(.*)/spec/support/init.lua$" or "."

-- When the file was written, or 0.
local function time_of(path) return lfs.attributes(path, "modification") or 0 end

-- What is built of them may be older than they are.
local function newest_source()
  local newest = math.max(time_of(folder .. "/libmoonloop_internal.a"), time_of(project .. "/cmake/spec.cmake"))
  for _, where in ipairs { "spec/support", "scripts/examples/embed" } do
    for name in lfs.dir(project .. "/" .. where) do
      if name:find "%.[ch]$" then newest = math.max(newest, time_of(("%s/%s/%s"):format(project, where, name))) end
    end
  end
  return newest
end

-- Builds what the specs need beside the executable, which nobody else builds, where it is missing or old.
local function build_helpers()
  if time_of(folder .. "/spec/built") >= newest_source() then return end
  if time_of(folder .. "/CMakeCache.txt") == 0 then
    error("the specs need a moonloop in its build folder, not " .. binary .. ": scripts/test.sh runs them", 0)
  end
  local command = "cd '%s' && flock spec.lock cmake --build . --target specs -j $(nproc) >spec.log 2>&1"
  if os.execute(command:format(folder:gsub("'", "'\\''"))) then return end
  local log <close> = assert(io.open(folder .. "/spec.log"))
  error("what the specs need cannot be built:\n" .. log:read "a", 0)
end

build_helpers()
package.cpath = folder .. "/spec/?.so;" .. package.cpath
require "reports".text_in_processes()

return {
  --- The path of the moonloop that runs the specs.
  binary = binary,
  --- Is this a build with a sanitizer?
  sanitized = folder:find "/asan$" ~= nil or folder:find "/tsan$" ~= nil,
  rawtcp = require "rawtcp",
  --- A text of n times "x". string.rep calls memcpy for each byte, which takes seconds under TSan.
  xs = function(n) return ("x"):rep(1024):rep(n // 1024) .. ("x"):rep(n % 1024) end,
  --- run_loop() -> exit status, report: tries to run a script on the calling task's runtime.
  run_loop = require "loop".run,
  --- yield(): a C function that yields in Lua's own way.
  yield = require "loop".yield,
  --- `local reports <close> = keep_reports()`: what is reported is in reports:text() instead of on the
  -- standard error.
  keep_reports = require "reports".keep,
  --- `local log <close> = keep_log()`: what is logged is in the list log.entries instead of on the standard error.
  keep_log = function()
    local to = require "moonloop".log.to
    local log = setmetatable({ entries = {} }, { __close = function() to(nil) end })
    to(function(entry) log.entries[#log.entries + 1] = entry end)
    return log
  end,
}
