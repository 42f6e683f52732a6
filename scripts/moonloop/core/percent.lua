--- decode(text) -> text with the bytes that its percent-encodings stand for (RFC 3986 2.1). What is none stays.
return function(text)
  return (text:gsub("%%(%x%x)", function(digits) return string.char(tonumber(digits, 16)) end))
end
