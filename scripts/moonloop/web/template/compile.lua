--- Templates: from a text to functions of Lua. What is on a line of a template is on the same line of the
-- function's source, so that Lua's own messages and tracebacks name it.
--
-- A template is one function, and one more for each of its blocks. Each is called with the environment of the
-- page, a list of pieces, how many there are, and the rendering (templates.lua), and returns how many there are
-- then. A function of Lua with text inside it has a list of its own, and returns HTML.
local code = require "moonloop.web.template.code"
local core = require "moonloop.core"
local html = require "moonloop.web.template.html"
local parse = require "moonloop.web.template.parse"
local write = require "moonloop.web.template.source"

local at_line, fail = write.at_line, write.fail

local function put_text(state, segment)
  at_line(segment.line, html.feed, state.context, segment.text)
  code.note_text(state)
  write.put_piece(state.source, segment.line, ("%q"):format(segment.text))
end

--- The expression of a value, without comments.
local function expression_of(segment)
  local parts, at = {}, segment.from
  for _, token in ipairs(segment.tokens) do
    parts[#parts + 1] = segment.text:sub(at - segment.from + 1, token.from - segment.from)
    parts[#parts + 1] = token.kind == "comment" and token.text:gsub("[^\n]", "") or token.text
    at = token.to + 1
  end
  return table.concat(parts):match "^(.-)%s*$"
end

local function put_value(state, segment, following)
  local expression = expression_of(segment)
  if not expression:find "%S" then fail(segment.line, "a value is missing") end
  local _, message = load(("\n"):rep(segment.line - 1) .. "return(" .. expression .. ")", "@", "t")
  if message then write.fail_as(message) end
  local name = "raw"
  if segment.kind == "value" then
    local after = following and following.kind == "text" and following.text or ""
    name = at_line(segment.line, html.value, state.context, after)
  else
    at_line(segment.line, html.raw, state.context)
  end
  code.note_text(state)
  state.source.escapes[name] = true
  write.put_piece(state.source, segment.line, ("_e_%s((%s))"):format(name, expression))
end

local put_segment = { text = put_text, value = put_value, raw = put_value, code = code.put }

--- Compiles a template. `kind` is "html", "xml" or "plain", `path` what messages call it.
-- Returns a table with main, a function; blocks, functions by their names; layout, the name of one, and
-- layout_values, a function of the environment that returns what it gets; uses, a list of the templates it
-- names: {name, line, what}. Returns nil and {message, line} where it is wrong.
return function(text, kind, path)
  local template = { path = path, kind = kind, blocks = {}, uses = {} }
  local state = { template = template, source = write.new(), frames = {}, context = html.start(kind) }
  local ok, problem = pcall(function()
    local segments = parse.parse(text)
    for i, segment in ipairs(segments) do
      put_segment[segment.kind](state, segment, segments[i + 1])
      state.has_begun = state.has_begun or segment.kind ~= "text" or segment.text:find "%S"
    end
    code.finish(state, parse.count_lines(text) + 1)
    template.main = write.load(state.source, template)
  end)
  if ok then return template end
  if type(problem) ~= "table" or not problem.message or core.is_error(problem) then error(problem, 0) end
  return nil, problem
end