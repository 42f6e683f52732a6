--- What jobs say on standard error, kept out of a spec's output.
local errors = require "moonloop.jobs.errors"

local Kept = {}
Kept.__index = Kept

--- All that was said so far, as a text.
function Kept:text() return table.concat(self.lines, "\n") end

--- It is expected.
function Kept:forget() self.lines = {} end

function Kept:__close()
  errors.say = self.say
  if #self.lines > 0 then error("jobs have said what was not expected: " .. self:text(), 0) end
end

local M = {}

--- keep() -> kept, for a variable <close>.
function M.keep()
  local kept = setmetatable({ lines = {}, say = errors.say }, Kept)
  errors.say = function(format, ...) table.insert(kept.lines, (format:format(...))) end
  return kept
end

return M
