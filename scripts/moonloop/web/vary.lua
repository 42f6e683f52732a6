--- The Vary header (RFC 9110 section 12.5.5).

--- Adds the request header `name` to the Vary header of a response.
return function(headers, name)
  local value = headers["Vary"]
  if type(value) == "table" then value = table.concat(value, ", ") end
  for listed in (value or ""):gmatch("[^,%s]+") do
    if listed == "*" or listed:lower() == name:lower() then return end
  end
  headers["Vary"] = value and value .. ", " .. name or name
end
