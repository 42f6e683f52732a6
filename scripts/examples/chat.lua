-- A chat of lines: `moonloop run chat.lua 4000`, and `nc 127.0.0.1 4000` in other windows. Ctrl-C ends it.
local ml = require "moonloop"

local BEHIND = 100 -- lines that a member may be behind before it is left out

local members = {} -- name -> the queue of lines for it

local function tell(text, except)
  for name, lines in pairs(members) do
    if name ~= except and not lines:try_put(text) then
      members[name] = nil
      lines:close() -- which ends its connection
    end
  end
end

local function join(conn)
  while true do
    if not conn:write "Your name? " then return end
    local name = conn:read()
    if not name then return end
    name = name:match "^%s*(%w+)%s*$"
    if name and not members[name] then return name end
    conn:write "A name is a word that nobody else has.\n"
  end
end

local function member(conn)
  local name = join(conn)
  if not name then return end
  local lines = ml.queue(BEHIND)
  members[name] = lines
  local _ <close> = setmetatable({}, { __close = function()
    if members[name] == lines then members[name] = nil end
    tell("* " .. name .. " has left\n")
  end })
  tell("* " .. name .. " is here\n")
  -- One side writes what the others say, the other reads; the first to end ends both.
  ml.race(function()
    for text in lines:items() do
      if not conn:write(text) then return end
    end
  end, function()
    while true do
      local line = conn:read()
      if not line then return end
      tell(name .. ": " .. line .. "\n", name)
    end
  end)
end

local server = assert(ml.net.listen("127.0.0.1", tonumber(arg[1]) or 0, { max_line = 1000 }, member))
print(("listening on %s port %d"):format(server:address()))
io.stdout:flush()

ml.signal.wait("INT", "TERM")
tell "* the chat is over\n"
local everybody = members
members = {}
for _, lines in pairs(everybody) do lines:close() end
server:stop(1)
