local tasks = require "moonloop.core"

--- unexpected(command) -> the error of a reply that has another form than Redis gives it. Whatever is made of a reply
-- looks at its form first: the server may be something else, or have gone wrong.
return function(command)
  return tasks.error { kind = "redis", code = "REPLY",
    message = ("%s: the reply of the server has another form than that of Redis"):format(command) }
end
