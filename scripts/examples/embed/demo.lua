-- Runs in the program of embed.c: `embed demo.lua`.
local checksum = require "checksum"
local ml = require "moonloop"
local process = require "process"

print("true:", process.run("true"))
local _, err = process.run("sh", "-c", "exit 3")
print("sh:", err, err.kind, err.code)
print("nosuch:", select(2, process.run("/nosuch/program")).code)

-- Processes run at once, and a time limit ends one that takes too long.
local ok, failure = ml.gather(
  function() return process.run("true") end,
  function() return select(2, ml.timeout(0.05, process.run, "sleep", "60")) end)
print("at once:", ok, failure.kind)

-- Workers of the executor find the program's modules, too.
print("in a worker:", ml.executor.run(process.run, "true"),
  ml.executor.run(function(path) return checksum.file(path) == require "checksum".file(path) end, arg[0]))

print("checksum:", checksum.file(arg[0]) == checksum.file(arg[0]), select(2, checksum.file("/nosuch")).code)
