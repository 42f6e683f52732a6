--- What a C file of the project includes and declares, read from its text. It is no parser of C: it
-- knows the ways in which this project writes declarations, and what a formatter makes of them.
local M = {}

--- The text without comments, and with nothing between quotes; every line stays a line.
local function without_comments(text)
  local out, at = {}, 1
  while true do
    local first, _, what = text:find("([\"'/])", at)
    if not first then break end
    out[#out + 1] = text:sub(at, first - 1)
    local next_two = text:sub(first, first + 1)
    if next_two == "/*" then
      local _, last = text:find("*/", first + 2, true)
      last = last or #text
      out[#out + 1] = " " .. text:sub(first, last):gsub("[^\n]", "")
      at = last + 1
    elseif next_two == "//" then
      at = text:find("\n", first, true) or #text + 1
    elseif what == "/" then
      out[#out + 1] = what
      at = first + 1
    else
      local last = first + 1
      while last <= #text and text:sub(last, last) ~= what do
        last = last + (text:sub(last, last) == "\\" and 2 or 1)
      end
      out[#out + 1] = what .. what
      at = last + 1
    end
  end
  out[#out + 1] = text:sub(at)
  return table.concat(out)
end

--- The names in `#include "NAME"` and `#include <NAME>`, in order.
function M.includes(text)
  local names = {}
  for name in ("\n" .. text):gmatch '\n[ \t]*#[ \t]*include[ \t]*["<]([^">\n]+)[">]' do names[#names + 1] = name end
  return names
end

--- The text of the comment that a file starts with; "" where it starts with something else.
function M.first_comment(text) return text:match "^%s*/%*(.-)%*/" or "" end

--- The name in the first `#ifndef` of a header.
function M.guard(text) return ("\n" .. text):match "\n#ifndef ([%w_]+)" end

-- The name that a declaration at file level declares, or nil: functions, and variables that are
-- `extern`. Types, what is static, and assertions are none of these.
local function declared(text)
  local words = " " .. text:gsub("__attribute__%s*%b()", " ") .. " "
  if words:find "%f[%w_]typedef%f[^%w_]" or words:find "%f[%w_]static%f[^%w_]" or words:find "_Static_assert" then
    return nil
  end
  local name = words:match "([%a_][%w_]*)%s*%("
  if name then
    -- `f(x)` alone is the use of a macro.
    return words:match "^%s*[%a_][%w_]*%s*%(" == nil and name or nil
  end
  if words:find "%f[%w_]extern%f[^%w_]" then
    return words:gsub("%b[]", " "):match "([%a_][%w_]*)%s*$"
  end
end

--- The functions that a file declares without a body, and the variables that it declares `extern`: a
-- list of names. What is static is left out.
function M.declarations(text)
  text = without_comments(text):gsub("\\\n", " ")
  text = ("\n" .. text):gsub("\n[ \t]*#[^\n]*", "\n") -- the preprocessor's lines
  text = text:gsub('extern%s*""%s*{', " ")            -- extern "C": its last brace is one too many
  local names = {}
  local function add(name)
    if name then names[#names + 1] = name end
  end
  local depth, at, pending = 0, 1, ""
  for place, sign in text:gmatch "()([{};])" do
    local piece = text:sub(at, place - 1)
    at = place + 1
    if depth == 0 then pending = pending .. piece end
    if sign == "{" then
      depth = depth + 1
    elseif sign == "}" then
      depth = math.max(0, depth - 1)
      -- Behind the body of a function something new begins; behind that of a struct its name may.
      if depth == 0 and pending:find "%)%s*$" then pending = "" end
    elseif depth == 0 then
      add(declared(pending))
      pending = ""
    elseif piece:find "^%s*extern%f[^%w_]" then
      add(declared(piece))
    end
  end
  return names
end

return M
