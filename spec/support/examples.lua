--- The Lua examples of a document, run as a reader would run them:
--
--   for _, example in ipairs(examples.of "doc/executor.md") do it(example.name, example.run) end
--
-- An example is a block that begins with "```lua". It checks itself, by assert. One that returns an app
-- is served for a moment; one with an `it` is run by `moonloop test`.
local documented = require "spec.support.documented"
local ml = require "moonloop"
local process = require "spec.support.process"

local M = {}

local function run_spec(text)
  local output, status = process.test(text, "")
  assert(status == 0, output)
end

local function run_chunk(text, name, names)
  local value = assert(load(text, "=" .. name, "t", names and setmetatable(names, { __index = _G }) or _G))()
  if ml.web.is_app(value) then assert(ml.web.listen(value, { port = 0 })):stop(0) end
end

--- The examples of the document at `path`: a list of {name =, run =, text =}. `names`, for a document
-- that leaves out what a reader knows: a function that gives the globals of each example.
function M.of(path, names)
  local list = {}
  for i, text in ipairs(documented.blocks(path, "lua")) do
    local name = ("example %d of %s runs"):format(i, path:match "[^/]+$")
    local run = text:find "%f[%w]it%(" and run_spec or run_chunk
    list[i] = { name = name, text = text, run = function() run(text, name, names and names()) end }
  end
  return list
end

return M
