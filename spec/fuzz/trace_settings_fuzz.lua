-- The variables of OpenTelemetry, a line NAME=VALUE each: what is taken of them is what traces may have, what is not is
-- told, and a header, which may be a secret, is not.
local settings = require "moonloop.trace.settings"

local SECRET = "s3cret"
local NUMBERS = { "timeout", "delay", "queue", "batch" }

return function(text)
  local variables = {}
  for name, value in text:gmatch "([%u_]+)=([^\n%z]*)" do variables[name] = value end
  local function getenv(name) return variables[name] end
  local s, problems = settings.choose({}, getenv)
  assert(s.url:find "^https?://[^/]" and s.sample >= 0 and s.sample <= 1)
  for _, name in ipairs(NUMBERS) do assert(s[name] > 0 and s[name] < math.huge, name) end
  for _, set in ipairs { s.headers, s.resource } do
    for name, value in pairs(set) do assert(type(name) == "string" and type(value) == "string") end
  end
  local told = table.concat(problems, "\n")
  for name in pairs(variables) do
    if name:find "_HEADERS$" then variables[name] = SECRET end
  end
  told = table.concat(select(2, settings.choose({}, getenv)), "\n") .. told
  assert(not told:find(SECRET, 1, true) or text:find(SECRET, 1, true))
end
