--- The syntax of .env files:
--
--   NAME=value            # a comment, after a space; spaces around the value are left out
--   export NAME='value'   as it is, over several lines if need be
--   NAME="value"          the same, with \n \r \t \\ \" \$
--
-- A dollar sign means nothing. Messages quote nothing of the file: any of it may be a part of a secret.
local M = {}

local ESCAPES = { n = "\n", r = "\r", t = "\t", ["\\"] = "\\", ['"'] = '"', ["$"] = "$" }

local function unescape(text)
  local wrong
  text = text:gsub("\\(.)", function(c)
    if not ESCAPES[c] then wrong = wrong or c end
    return ESCAPES[c]
  end)
  return text, wrong and ("\\%s means nothing in double quotes (use single quotes, or \\\\)"):format(wrong)
end

--- The end of a value in double quotes that begins at `at`.
local function closing_quote(text, at)
  local from = at + 1
  while true do
    local found, _, c = text:find('([\\"])', from)
    if not found or c == '"' then return found end
    from = found + 2
  end
end

--- The value at `at`, and where it ends; nil and what is wrong.
local function value_at(text, at)
  local quote = text:sub(at, at)
  if quote ~= '"' and quote ~= "'" then
    local line = text:match("^[^\n]*", at)
    local value = line:find "^#" and "" or (line .. "\n"):gsub("%s#.*$", ""):match "^(.-)%s*$"
    return value, at + #line
  end
  local last = quote == '"' and closing_quote(text, at) or quote == "'" and text:find("'", at + 1, true)
  if not last then return nil, "the quote " .. quote .. " has no end" end
  local rest, stop = text:match("^([^\n]*)()", last + 1)
  if rest:find "%S" and not rest:find "^%s+#" then
    return nil, "something follows the end of the quotes"
  end
  local value = text:sub(at + 1, last - 1)
  local wrong
  if quote == '"' then value, wrong = unescape(value) end
  if wrong then return nil, wrong end
  return value, stop
end

local function lines_to(text, from, to) return select(2, text:sub(from, to):gsub("\n", "")) end

--- The values of a text: name -> {value, line}; and a list of {line, message} of what is wrong.
function M.parse(text)
  text = text:gsub("^\239\187\191", ""):gsub("\r\n?", "\n")
  local values, problems, at, line = {}, {}, 1, 1
  while at <= #text do
    local stop = text:match("^[^\n]*()", at)
    local start = text:match("^[ \t]*()", at)
    if start < stop and text:sub(start, start) ~= "#" then
      local name, mark = text:match("^([^=\n]-)[ \t]*=[ \t]*()", start)
      local value, message
      name = name and name:gsub("^export[ \t]+", "")
      if not name or name == "" then
        message = "this line is no setting (NAME=value); values of several lines need quotes"
      elseif not name:find "^[%a_][%w_.]*$" then
        message = "what is before the = is no name, which has letters, digits and _"
      else
        local after
        value, after = value_at(text, mark)
        if value then
          values[name], stop = { value = value, line = line }, after
        else
          message = after
        end
      end
      if message then problems[#problems + 1] = { line = line, message = message } end
    end
    line, at = line + lines_to(text, at, stop - 1) + 1, stop + 1
  end
  return values, problems
end

return M
