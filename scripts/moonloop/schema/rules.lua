--- What from_json_schema reads, to descriptions of nodes (compile.lua). A rule is a table of the fields that
-- the C part reads; where these are other rules, they become numbers.
local M = {}

local ONE = { "negated", "condition", "then_node", "otherwise", "items", "contains", "additional", "names" }
local MANY = { "all_of", "any_of", "one_of", "prefix" }

--- Fills `node` from the rule. visit(rule) gives the number of another one.
function M.fill(node, rule, visit)
  for key, value in pairs(rule) do node[key] = value end
  for _, key in ipairs(ONE) do
    if rule[key] then node[key] = visit(rule[key]) end
  end
  for _, key in ipairs(MANY) do
    if rule[key] then
      node[key] = {}
      for i, other in ipairs(rule[key]) do node[key][i] = visit(other) end
    end
  end
  if rule.fields then
    node.fields = {}
    for i, field in ipairs(rule.fields) do node.fields[i] = { field[1], visit(field[2]) } end
  end
  if rule.patterns then
    node.patterns = {}
    for i, item in ipairs(rule.patterns) do
      node.patterns[i] = { pattern = item.pattern, node = visit(item.node) }
    end
  end
  if rule.dependents then
    node.dependents = {}
    for i, item in ipairs(rule.dependents) do
      node.dependents[i] = { item[1], others = item.others, node = item.node and visit(item.node) }
    end
  end
end

return M
