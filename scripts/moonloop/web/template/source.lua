--- Templates: the source of one function of Lua, whose lines are those of the template, and errors with lines.
local escape = require "moonloop.web.template.escape"
local parse = require "moonloop.web.template.parse"

local count_lines = parse.count_lines

local M = {}

--- Raises {message, line}: an error of the template at its line. What follows `message` is formatted into it.
function M.fail(line, message, ...)
  error({ message = select("#", ...) > 0 and message:format(...) or message, line = line }, 0)
end

--- Calls f with what is checked for the context. Its errors get the line.
function M.at_line(line, f, ...)
  local ok, result = pcall(f, ...)
  if ok then return result end
  if type(result) == "table" and result.message then result.line = result.line or line end
  error(result, 0)
end

--- A source without text.
function M.new() return { parts = {}, line = 1, pieces = 0, escapes = {} } end

--- Adds text, which may have several lines.
function M.put(source, text)
  source.parts[#source.parts + 1] = text
  source.line = source.line + count_lines(text)
end

--- The pieces since the last code are counted at once.
function M.end_pieces(source)
  if source.pieces > 0 then M.put(source, "_n=_n+" .. source.pieces .. " ") end
  source.pieces = 0
end

--- Adds line feeds up to the line, so that what comes next is on it.
function M.go_to(source, line)
  if source.line < line then M.put(source, ("\n"):rep(line - source.line)) end
end

--- Adds a piece of output, the value of an expression of Lua.
function M.put_piece(source, line, expression)
  M.go_to(source, line)
  source.pieces = source.pieces + 1
  M.put(source, ("_o[_n+%d]=%s;"):format(source.pieces, expression))
end

--- Lua's own message about a source, with its line.
function M.fail_as(message)
  local line, text = message:match "^.-:(%d+): (.*)$"
  M.fail(tonumber(line), "%s", text or message)
end

--- The function of a source.
function M.load(source, template)
  M.end_pieces(source)
  local names, values = { "_t", "_html" }, { template, escape.html }
  for name in pairs(source.escapes) do
    names[#names + 1], values[#values + 1] = "_e_" .. name, escape[name]
  end
  local text = ("local %s=... return function(_ENV,_o,_n,_r) local _m=_r.most %s return _n end"):format(
    table.concat(names, ","), table.concat(source.parts))
  local chunk, message = load(text, "@" .. template.path, "t")
  if not chunk then M.fail_as(message) end
  return chunk(table.unpack(values))
end

return M
