--- Which values are never shown, by their names; and texts without the values that were hidden.
local log = require "moonloop.log.core"

local M = {}

M.HIDDEN = "(hidden)"

--- Is what has this name secret?
function M.is_secret(name) return type(name) == "string" and log.is_secret(name) end

--- The same for a parameter of a query.
function M.is_secret_in_query(name) return log.is_secret(name, true) end

--- The text without passwords of URLs, as the log shows it.
M.urls = log.hide_passwords

--- A line of code without the texts that are given to secret names: `api_key = "..."`.
function M.code(line)
  local parts, at = {}, 1
  while true do
    local _, last, name, quote = line:find("([%a_][%w_-]*)[\"']?%]?%s*=%s*([\"'])", at)
    if not last then break end
    parts[#parts + 1] = line:sub(at, last)
    at = last + 1
    if M.is_secret(name) then
      while at <= #line and line:sub(at, at) ~= quote do at = at + (line:sub(at, at) == "\\" and 2 or 1) end
      parts[#parts + 1] = M.HIDDEN
    end
  end
  parts[#parts + 1] = line:sub(at)
  return table.concat(parts)
end

local MIN, MOST = 4, 100 -- bytes of a text that is looked for elsewhere; how many

--- A keeper of hidden values: they may stand in other places, too, such as a message.
function M.keeper()
  local known, list = {}, {} -- the list: the longest first, since a shorter one may be a part of it
  local keeper = {}

  local function add(text)
    if #text < MIN or #text > 10000 or known[text] or #list >= MOST then return end
    known[text] = true
    local at = 1
    while list[at] and #list[at] >= #text do at = at + 1 end
    table.insert(list, at, text)
  end

  --- Notes the value, and gives what to show in its place.
  function keeper.hide(value)
    if type(value) == "string" then
      add(value)
      for part in value:gmatch "[^%s;,=]+" do
        if #part >= 8 then add(part) end
      end
    end
    return M.HIDDEN
  end

  --- The text without the hidden values, and without passwords of URLs.
  function keeper.mask(text)
    text = M.urls(text)
    for _, value in ipairs(list) do
      if text:find(value, 1, true) then text = text:gsub(value:gsub("%p", "%%%0"), M.HIDDEN) end
    end
    return text
  end

  return keeper
end

return M
