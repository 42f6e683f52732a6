--- The Vary header (RFC 9110 section 12.5.5).

--- Says in the headers of a response that it depends on the request header `name` too.
return function(headers, name)
  local value = headers["Vary"]
  if type(value) == "table" then value = table.concat(value, ", ") end
  for listed in (value or ""):gmatch("[^,%s]+") do
    if listed == "*" or listed:lower() == name:lower() then return end
  end
  headers["Vary"] = value and value .. ", " .. name or name
end
