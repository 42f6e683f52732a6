--- Checks of the options that middleware is made with.

--- Raises what is wrong with the options `opts` of `whose`: those in `known` are allowed, with the
-- types that are named there ("string|table"). The error is raised where the caller's caller is.
return function(opts, known, whose)
  if type(opts) ~= "table" then
    error("bad argument #1 to '" .. whose .. "' (table expected, got " .. type(opts) .. ")", 3)
  end
  for name, value in pairs(opts) do
    local types = known[name]
    if not types then error("unknown option '" .. tostring(name) .. "' of " .. whose, 3) end
    local given = math.type(value) or type(value)
    if not ("|" .. types .. "|"):find("|" .. given .. "|", 1, true) then
      error("option '" .. name .. "' of " .. whose .. " is a " .. type(value) .. " (expected " ..
        types:gsub("|", " or ") .. ")", 3)
    end
  end
end
