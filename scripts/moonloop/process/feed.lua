--- What a program reads, from a function or a stream: a task that carries it over.
local core = require "moonloop.core"

local fail = core.fail

--- The next piece of `source`; nil at the end, or nil and an error.
local function next_piece(source, whose)
  if not core.is_callable(source) then return source:read_some() end
  local piece, err = source()
  if piece ~= nil and type(piece) ~= "string" then
    local message = "%s: the function of option 'stdin' returned a %s (expected a string, or nil at the end)"
    fail(message:format(whose, type(piece)))
  end
  return piece, err
end

--- Writes all of `source` to `input`, the program's standard input, and closes it. A program that reads no
-- more ends this, too. Returns true; or nil and an error of the source.
local function feed(input, source, whose)
  local to_close <close> = input
  repeat
    local piece, err = next_piece(source, whose)
    if err then return nil, err end
  until piece == nil or not to_close:write(piece)
  return true
end

return feed
