-- Programs in ELF, as `moonloop build` reads itself: what is no such program is said to be none, and a section that was
-- added to one is found there, behind all that the program had.
local elf = require "moonloop.build.elf"

local NAME, CONTENT = ".fuzz", "what was added"
local TABLE_AT, TABLE_END, COUNT_AT, COUNT_END = 0x28, 0x30, 0x3A, 0x3E -- what changes of a header

return function(program)
  local at, size = elf.find(program, NAME)
  if at then assert(at >= 0 and size >= 0 and at + size <= #program) end
  local whole, wrong = elf.add(program, NAME, CONTENT)
  if not whole then return assert(type(wrong) == "string" and not at) end
  at, size = elf.find(whole, NAME)
  assert(at >= #program and whole:sub(at + 1, at + size) == CONTENT)
  assert(whole:sub(1, TABLE_AT) == program:sub(1, TABLE_AT))
  assert(whole:sub(TABLE_END + 1, COUNT_AT) == program:sub(TABLE_END + 1, COUNT_AT))
  assert(whole:sub(COUNT_END + 1, #program) == program:sub(COUNT_END + 1))
  assert(elf.find(whole, ".none") == nil or elf.find(program, ".none"))
end
