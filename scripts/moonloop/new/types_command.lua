--- `moonloop types --write FOLDER`: the types of moonloop itself, for LuaLS.
local write = require "moonloop.new.write"

return function(folder)
  local ok, err = pcall(write.types, folder)
  if not ok then
    io.stderr:write("moonloop: types: ", type(err) == "table" and err.message or tostring(err), "\n")
    os.exit(1)
  end
  io.stdout:write(("%d files in %s\n"):format(err, folder))
end
