--- is_between(value, first, last) -> boolean: is it an integer, `first` at least and `last` at most?
return function(value, first, last) return math.type(value) == "integer" and value >= first and value <= last end
