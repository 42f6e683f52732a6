--- What the specs share: finds the test-only C modules beside the running binary.
-- `local rawtcp = require "spec.support".rawtcp`
local lfs = require "lfs"

local binary = assert(lfs.symlinkattributes("/proc/self/exe")).target
local folder = binary:match("^(.*)/[^/]+$")
package.cpath = folder .. "/spec/?.so;" .. package.cpath

return {
  --- The path of the moonloop that runs the specs.
  binary = binary,
  rawtcp = require "rawtcp",
  --- A text of n times "x". string.rep calls memcpy for each byte, which takes seconds under TSan.
  xs = function(n) return ("x"):rep(1024):rep(n // 1024) .. ("x"):rep(n % 1024) end,
  --- run_loop() -> boolean: starts the loop of the calling task's runtime, if that can be.
  run_loop = require "loop".run,
}
