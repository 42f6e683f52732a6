-- A background task that is awaited later: it works while the main task does something else.
local ml = require "moonloop"

local report = ml.spawn(function(pages)
  for page = 1, pages do
    print("  wrote page " .. page)
    ml.sleep(0.02)
  end
  return pages .. " pages"
end, 3)

print("the report is " .. report:status())
ml.sleep(0.03)
print("meanwhile, something else; the report is " .. report:status())
print("the report has " .. report:await() .. " and is " .. report:status())
