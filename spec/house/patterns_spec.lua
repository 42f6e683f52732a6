-- Patterns of the host's own Lua parts, which are matched with texts from outside.
local folders = require "spec.support.folder"
local ml = require "moonloop"

-- Where the text is its owner's: what is typed, an option, a template.
local TRUSTED = { ["jobs/cron.lua"] = true, ["jwt/keys.lua"] = true, ["repl/commands.lua"] = true,
  ["settings/dotenv.lua"] = true, ["sql/db_shell.lua"] = true, ["trace/settings.lua"] = true,
  ["web/template/compile.lua"] = true }

--- The literals of a line that have ".-" before a repetition at their end.
local function slow_ones(line)
  local found = {}
  for literal in line:gmatch '"[^"]*"' do
    local lazy = literal:match "%.%-%)?(.+)%$\"$"
    if lazy and (lazy:find "^%%%a[*+]" or lazy:find "^%[[^%]]*%][*+]" or lazy:find "^ [*+]") then
      found[#found + 1] = literal
    end
  end
  return found
end

describe("the patterns of the host's Lua parts", function()
  it("are told apart by this spec", function()
    for _, slow in ipairs { [["^(%S+) +(.-) *$"]], [["^([^:]+):[ \t]*(.-)[ \t]*$"]], [["^%s*(.-)%s*$"]] } do
      assert.same({ slow }, slow_ones("x:match " .. slow))
    end
    for _, quick in ipairs { [["^(.-)::(.*)$"]], [["(.-)\n"]], [["^%s*(.*%S)"]], [["^(%S+) +(%S.*)$"]] } do
      assert.same({}, slow_ones("x:match " .. quick))
    end
  end)

  -- "(.-) *$" looks for the end of the text from each of its characters: a header of 30 kB of blanks took 3 seconds.
  it("take no time that grows with the square of a text from outside", function()
    local found = {}
    for _, path in ipairs(ml.fs.glob "scripts/moonloop/**/*.lua") do
      local name = path:match "scripts/moonloop/(.*)$"
      for line in folders.read(path):gmatch "[^\n]+" do
        if not TRUSTED[name] and not line:find "^%s*%-%-" and slow_ones(line)[1] then
          found[#found + 1] = name .. ": " .. line
        end
      end
    end
    assert.same({}, found)
  end)
end)
