-- Worker processes under random events: moonloop run --block-limit 0 spec/soak/workers.lua [EVENTS [SEED]]
--
-- EVENTS (100) in all, of these: new code, new code that does not load, a worker is killed, `moonloop
-- ps`, a while without any; some before the last one has had its effect. Clients on kept and on new
-- connections ask all the time. Every request has to be answered, but those that a killed worker
-- had; at the end the last code has to serve, and the server to end in order with all processes.
-- The seed is printed; the same seed gives the same events.
local json = require "moonloop.json"
local left = require "spec.support.left"
local ml = require "moonloop"
local served = require "spec.support.served"
local web = require "spec.support.web"

local soak = {}

local random = math.random

local function app(version)
  return ([[
    local app = require "moonloop".web.app()
    local pid = io.open("/proc/self/stat"):read "n"
    app:get("/", function()
      require "moonloop".sleep(math.random(0, 3) / 1000)
      return { version = %d, pid = pid }
    end)
    return app]]):format(version)
end

--- Runs `n` events. Returns true and what was done | nil, what went wrong.
function soak.run(n, seed)
  math.randomseed(seed)
  local server <close> = served.start({ ["app.lua"] = app(1) }, "--workers 3 --drain 100")
  local version, over, wrong = 1, false, {}
  local killed, kills, answers, pids = {}, 0, 0, {}

  -- Asks on one connection until the server wants it closed, `most` times at most.
  local function ask(most)
    local before, pid = kills, nil
    local conn <close> = server:connect()
    for _ = 1, most do
      local res, why = served.ask(conn)
      if not res then
        local excused = killed[pid] or (not pid and kills > before)
        if not excused then wrong[#wrong + 1] = ("process %s did not answer: %s"):format(pid, why) end
        return
      end
      if res.status ~= 200 then wrong[#wrong + 1] = "an answer is a " .. res.status end
      answers = answers + 1
      pid = json.decode(res.body).pid
      pids[pid] = true
      if over or res.headers.connection == "close" then return end
    end
  end

  local clients = {}
  for i = 1, 8 do
    clients[i] = ml.spawn(function()
      while not over do ask(i % 2 == 0 and 1 or 1000) end
    end)
  end

  local function reload(source)
    server:write("app.lua", source)
    server:kill "HUP"
  end
  local function wait_for_version()
    served.wait_until("version " .. version .. " does not come: " .. server:errors(), function()
      local ok, res = pcall(web.get, server.port, "/") -- it may have come to a worker that was killed
      return ok and res and json.decode(res.body).version == version
    end)
  end
  local events = {
    function()
      version = version + 1
      reload(app(version))
      if random(2) == 1 then pcall(wait_for_version) end
    end,
    function() reload "return {" end,
    function()
      local list = {}
      for pid in server:ps():gmatch "worker %d, pid (%d+)" do list[#list + 1] = pid end
      if #list == 0 then return end
      local pid = list[random(#list)]
      killed[math.tointeger(pid)] = true
      kills = kills + 1
      os.execute("kill -KILL " .. pid .. " 2>/dev/null")
    end,
    function() server:ps "--traceback" end,
    function() ml.sleep(random(200) / 1000) end,
  }
  for _ = 1, n do
    events[random(#events)]()
    ml.sleep(random(0, 50) / 1000)
  end
  version = version + 1
  reload(app(version))
  local ok, problem = pcall(wait_for_version)
  if not ok then wrong[#wrong + 1] = tostring(problem) end
  over = true
  for _, client in ipairs(clients) do client:await() end
  server:kill "TERM"
  local status = server:finish()
  if status ~= 0 then wrong[#wrong + 1] = "it ended with status " .. status .. ": " .. server:errors() end
  for pid in pairs(pids) do
    if left.is_alive(pid) then wrong[#wrong + 1] = "process " .. pid .. " is left" end
  end
  if #wrong > 0 then
    return nil, ("%s\nwhat it said:\n%s"):format(table.concat(wrong, "\n", 1, math.min(#wrong, 20)), server:errors())
  end
  return true, ("%d answers, %d versions, %d workers killed"):format(answers, version, kills)
end

if arg and arg[0]:find("soak/workers%.lua$") then
  local function number(i, default) return math.tointeger(tonumber(arg[i] or default)) end
  local seed = number(2, random(1, 2 ^ 31 - 1))
  print("seed " .. seed)
  local done, text = soak.run(number(1, 100), seed)
  print(text)
  if not done then os.exit(1) end
end

return soak
