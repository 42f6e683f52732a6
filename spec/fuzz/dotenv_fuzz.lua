-- .env files: every value has a name that a variable may have and a line of the file, every problem a line and a
-- message; and a value in single quotes is read as it is.
local dotenv = require "moonloop.settings.dotenv"

return function(text)
  local _, breaks = text:gsub("\n", "")
  local _, returns = text:gsub("\r", "")
  local lines = breaks + returns + 1
  local values, problems = dotenv.parse(text)
  for name, found in pairs(values) do
    assert(name:find "^[%a_][%w_.]*$" and found.line >= 1 and found.line <= lines)
    if not found.value:find "['\r]" then
      local again, wrong = dotenv.parse(("%s='%s'"):format(name, found.value))
      assert(#wrong == 0 and again[name].value == found.value)
    end
  end
  for _, problem in ipairs(problems) do
    assert(problem.line >= 1 and problem.line <= lines and #problem.message > 0)
  end
end
