-- doc/concurrency.md against the project: its examples run, its rules have specs.
local clock = require "moonloop.clock"
local examples = require "spec.support.examples"
local folders = require "spec.support.folder"

local document = folders.read "doc/concurrency.md"

--- The cases of the rules.
local cases = [[
TK-01 TK-02 TK-03 TK-04 TK-05 TK-07 TK-10 TK-11 TK-13
CX-01 CX-02 CX-03 CX-04 CX-05 CX-06 CX-07 CX-08 CX-09 CX-10 CX-11 CX-12 CX-13 CX-15 CX-16 CX-19
GA-01 GA-02 GA-03 GA-04 GA-05 GA-06 GA-07 GA-08 GA-09 GA-11 GA-14
TG-01 TG-03 TG-04 TG-05 TG-07 TG-08 TG-09 TG-10 TG-12 TG-14 TG-17 TG-19 TG-20 TG-22 TG-23 TG-25 TG-27
TO-01 TO-02 TO-04 TO-07 TO-09 TO-10 TO-11 TO-12 TO-13 TO-17 TO-18 TO-19 TO-21 TO-22
WA-01 WA-04 SH-01 SH-02 SH-05
SE-01 SE-03 SE-04 SE-05 SE-07 SE-09 LK-01 EV-01
QU-01 QU-03 QU-04 QU-06 QU-09 QU-12 QU-13 QU-14
EX-01 EX-02 EX-03 EX-04 EX-06 EX-08
LP-01 IO-01 IO-05 IO-06
]]

describe("doc/concurrency.md", function()
  for _, example in ipairs(examples.of "doc/concurrency.md") do
    it(example.name, function()
      clock.virtual()
      example.run()
    end)
  end

  it("names a spec for each rule, and every case of the rules", function()
    local named = {}
    for line in document:gmatch("\n(%d+%. .-)%f[\n]") do
      assert.matches("%u%u%-%d%d", line)
    end
    for id in document:match("## The invariants(.*)"):gmatch("%u%u%-%d%d") do named[id] = true end
    for id in cases:gmatch("%S+") do assert(named[id], "no rule names " .. id) end
  end)
end)

describe("every case of the rules", function()
  local text = {}
  local list = assert(io.popen("find spec -name '*_spec.lua'"))
  for path in list:lines() do text[#text + 1] = folders.read(path) end
  list:close()
  text = table.concat(text)
  for id in cases:gmatch("%S+") do
    it("has a spec: " .. id, function()
      local name = id:gsub("%-", "%%-")
      -- by its own name, its block's, or one made from a list of ids
      assert(text:find('it%("' .. name .. "[ :]") or text:find('describe%("' .. name .. "[ :]")
        or text:find('%["' .. name .. '"%]'), "no spec's name starts with " .. id)
    end)
  end
end)
