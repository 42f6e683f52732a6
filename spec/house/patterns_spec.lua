-- Patterns of the host's own Lua parts, which are matched with texts from outside.
local folders = require "spec.support.folder"
local ml = require "moonloop"

-- Where the text is its owner's: what is typed, an option, a template, a name in the program.
local TRUSTED = { ["dev/screen.lua"] = true, ["new/init.lua"] = true, ["repl/complete.lua"] = true,
  ["sql/holders.lua"] = true, ["web/session_sql.lua"] = true, ["web/template/html.lua"] = true,
  ["web/template/script.lua"] = true, ["web/template/style.lua"] = true,
  ["jobs/cron.lua"] = true, ["jwt/keys.lua"] = true, ["repl/commands.lua"] = true,
  ["settings/dotenv.lua"] = true, ["sql/db_shell.lua"] = true, ["trace/settings.lua"] = true,
  ["web/template/compile.lua"] = true }

local function is_repetition(text, behind)
  return text:find("^%%%a[*+]" .. behind) or text:find("^%[[^%]]*%][*+]" .. behind) or text:find("^ [*+]" .. behind)
end

--- The literals of a line that have ".-" before a repetition at their end, or have nothing before it.
local function slow_ones(line)
  local found = {}
  for literal in line:gmatch '"[^"]*"' do
    local lazy = literal:match "%.%-%)?(.+)%$\"$"
    local alone = literal:match "^\"%(?(.*%$)\"$"
    if lazy and is_repetition(lazy, "") or alone and is_repetition(alone, "%)?%$$") then
      found[#found + 1] = literal
    end
  end
  return found
end

describe("the patterns of the host's Lua parts", function()
  it("are told apart by this spec", function()
    for _, slow in ipairs { [["^(%S+) +(.-) *$"]], [["^([^:]+):[ \t]*(.-)[ \t]*$"]], [["^%s*(.-)%s*$"]],
      [["%s+$"]], [["([^/]*)$"]] } do
      assert.same({ slow }, slow_ones("x:match " .. slow))
    end
    for _, quick in ipairs { [["^(.*%S)"]], [["^[%w_]+$"]], [["%.[%w_]+$"]],
      [["^(.-)::(.*)$"]], [["(.-)\n"]], [["^%s*(.*%S)"]], [["^(%S+) +(%S.*)$"]] } do
      assert.same({}, slow_ones("x:match " .. quick))
    end
  end)

  -- "(.-) *$" looks for the end of the text from each of its characters: a header of 30 kB of blanks took 3 seconds. So
  -- does " +$".
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
