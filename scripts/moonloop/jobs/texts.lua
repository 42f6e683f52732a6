--- Statements with names in braces for their parameters, where ml.sql's own `:name` would not do: a name may be
-- nil, and a text may be put together of parts.
local M = {}

--- new(text) -> { text, names }: "{name}" becomes "$1" and so on.
function M.new(text)
  local names, places = {}, {}
  local numbered = text:gsub("{([%a_]+)}", function(name)
    if not places[name] then
      names[#names + 1] = name
      places[name] = #names
    end
    return "$" .. places[name]
  end)
  return { text = numbered, names = names }
end

--- Runs a statement of `new` as holder:METHOD, with the values of a table.
function M.run(holder, method, statement, values)
  local names = statement.names
  local list = {}
  for i = 1, #names do list[i] = values[names[i]] end
  return holder[method](holder, statement.text, table.unpack(list, 1, #names))
end

--- all { name = text, ... } -> the same with statements.
function M.all(texts)
  for name, text in pairs(texts) do texts[name] = M.new(text) end
  return texts
end

return M
