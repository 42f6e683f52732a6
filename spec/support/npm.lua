--- Programs of npm for the specs: those that scripts/setup.sh --dev puts into .deps/npm.
local lfs = require "lfs"
local ml = require "moonloop"
local process = require "spec.support.process"
local support = require "spec.support"

local M = {}

local FOLDER = ".deps/npm"

--- Why there are none: in the builds with sanitizers they would show nothing more; else what is missing.
local function missing()
  if support.sanitized then return "not in the builds with sanitizers" end
  local version = tonumber((process.sh "node --version"):match "^v(%d+)")
  if not version then return "Node.js is missing" end
  if version < 20 then return ("Node.js is %d, and 20 is needed"):format(version) end
  if not lfs.attributes(FOLDER .. "/node_modules") then return "run scripts/setup.sh --dev" end
end

local why = missing()

--- block(describe, pending, name, f): what `describe(name, f)` does, with time for a busy machine, or a
-- pending spec that says why there is none.
function M.block(describe, pending, name, f)
  if not why then return describe(name, { timeout = 300 }, f) end
  pending(("%s (%s)"):format(name, why))
end

--- The shell's command for a program of spec/support/npm.
function M.command(program, ...)
  local words = { ("cp spec/support/npm/*.mjs %s && timeout 300 node %s/%s"):format(FOLDER, FOLDER, program) }
  for _, argument in ipairs { ... } do words[#words + 1] = process.quote(argument) end
  return table.concat(words, " ")
end

--- Runs a program of spec/support/npm; returns what it printed. Raises that if it failed.
function M.run(...)
  local output, status = process.sh(M.command(...))
  if status ~= 0 then error(output, 0) end
  return output
end

--- The same while the loop goes on, which serves the program.
function M.run_beside(...)
  local pool <close> = ml.executor.new { threads = 1 }
  return pool:run(function(words)
    local pipe = assert(io.popen(words .. " 2>&1"))
    local output = pipe:read "a"
    pipe:close()
    return output
  end, M.command(...))
end

return M
