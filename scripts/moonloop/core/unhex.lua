--- unhex(digits) -> the bytes that pairs of hexadecimal digits stand for.
return function(digits)
  return (digits:gsub("%x%x", function(pair) return string.char(tonumber(pair, 16)) end))
end
