--- counted(n, noun) -> "1 file", "3 files"
return function(n, noun) return ("%d %s%s"):format(n, noun, n == 1 and "" or "s") end
