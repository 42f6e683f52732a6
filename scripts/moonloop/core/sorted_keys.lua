local function comes_before(a, b)
  if type(a) == type(b) then return a < b end
  return type(a) == "number"
end

--- sorted_keys(map) -> its keys, which are numbers and strings, in order: numbers first.
return function(map)
  local keys = {}
  for key in next, map do keys[#keys + 1] = key end
  table.sort(keys, comes_before)
  return keys
end
