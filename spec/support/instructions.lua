--- What a program costs in instructions, which depend on nothing else that the machine does: counted by callgrind.
local process = require "spec.support.process"
local support = require "spec.support"

local M = {}

--- Why instructions cannot be counted here, or nil.
function M.missing()
  if support.sanitized then return "valgrind does not run what is built with a sanitizer" end
  if not os.execute "valgrind --version >/dev/null 2>&1" then return "valgrind is not installed" end
end

--- Millions of instructions in user space of `moonloop ARGUMENTS`, which has to end well, and what it printed.
-- `before` is for the shell: "N=10".
function M.of(arguments, before)
  local command = "%s valgrind --tool=callgrind --callgrind-out-file=/dev/null %s %s"
  local output, status = process.sh(command:format(before or "", process.quote(support.binary), arguments))
  assert(status == 0, output)
  return assert(tonumber(output:match "Collected : (%d+)"), output) / 1e6, output
end

return M
