-- Texts of SQL, such as migrations and dumps: what is taken apart stands in the text, in order and with its lines, and
-- is the same when it is taken apart again. So are numbered parameters.
local sql = require "moonloop.sql.split"

local function count_breaks(text) return select(2, text:gsub("\n", "")) end

local function check_split(text, dialect)
  local list, rest = sql.split(text, dialect)
  local at = 1
  for i, statement in ipairs(list) do
    local from, to = text:find(statement.text, at, true)
    assert(from and #statement.text > 0)
    -- What stands before it are spaces, comments and `;`: its beginning may be in a comment, too.
    assert(statement.line <= 1 + count_breaks(text) and statement.line >= (i > 1 and list[i - 1].line or 1))
    assert((statement.unfinished or false) == (i == #list and rest ~= nil))
    local again = sql.split(statement.text .. (statement.unfinished and "" or "\n;"), dialect)
    assert(#again == 1 and again[1].text == statement.text, statement.text)
    assert(again[1].keyword == statement.keyword and again[1].second == statement.second)
    at = to + 1
  end
  if rest then
    local again, same = sql.split(text:sub(rest), dialect)
    assert(#again == 1 and same == 1 and again[1].text == list[#list].text)
  end
end

local function check_number(text, dialect)
  local numbered, count = sql.number(text, dialect)
  assert(math.type(count) == "integer" and count >= 0)
  local again, same = sql.number(numbered, dialect)
  assert(again == numbered and same == math.min(count, 65535))
end

return function(text)
  for _, dialect in ipairs { "postgres", "sqlite" } do
    check_split(text, dialect)
    check_number(text, dialect)
  end
end
