--- trim(text) -> text without the white space at its ends. In linear time: with "^%s*(.-)%s*$" a header of 28 kB, most
-- of it blanks, would hold up the loop for seconds.
return function(text)
  return text:find "^%s*$" and "" or text:match "^%s*(.*%S)"
end
