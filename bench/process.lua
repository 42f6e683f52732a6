-- What a program costs that is started and waited for: build/release/moonloop bench/process.lua
--
-- Prints a line for each measure, name, value and unit with tabs between them; bench/run compares them
-- with those of bench/peers/process.*.
local ml = require "moonloop"

local PROGRAMS, HEAP = 300, 500 -- MB, every page of it in use

--- Microseconds of one.
local function cost()
  local program = { "/bin/true", stdout = "null", stderr = "null" }
  ml.process.run(program)
  local start = ml.now()
  for _ = 1, PROGRAMS do assert(ml.process.run(program).ok) end
  return (ml.now() - start) / PROGRAMS * 1e6
end

local function show(name, value) print(("%s\t%.6g\tus"):format(name, value)) end

show("small", cost())
local heap = {}
for i = 1, HEAP do heap[i] = ("x"):rep(1 << 10):rep(1 << 10) .. i end
show("large", cost())
assert(#heap == HEAP)
