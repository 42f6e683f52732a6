-- An echo server, and clients that talk to it at once.
local ml = require "moonloop"

local server <close> = assert(ml.net.listen("127.0.0.1", 0, function(conn)
  for line in conn:lines "L" do conn:write(line) end
end)) -- the connection is closed when its function ends

local host, port = server:address()

local answers = ml.map({ "one", "two", "three" }, function(word)
  local conn <close> = assert(ml.net.connect(host, port))
  conn.timeout = 60
  assert(conn:write(word, "\n"))
  local answer = assert(conn:read())
  assert(conn:shutdown()) -- the server sees the end of what is written
  return answer
end)

print(table.concat(answers, " "))
