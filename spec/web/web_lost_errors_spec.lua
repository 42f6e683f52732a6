-- An error that a handler raises after its client has left, or its deadline has passed, is in the log.
local support = require "spec.support.web"

--- Routes "/" whose handlers set `running` and then wait until they are cut off; OPTIONS stands for more
-- options of the route.
local handlers = {
  ["its clean-up"] = [[
    app:get("/", { OPTIONS }, function()
      local _ <close> = closer()
      running:set()
      ml.sleep(1000)
    end)]],
  ["its clean-up, which waits"] = [[
    app:get("/", { OPTIONS }, function()
      local _ <close> = setmetatable({}, { __close = function() ml.sleep(0) end })
      running:set()
      ml.catch(ml.sleep, 1000)
      culprit()
    end)]],
  ["the body of a group"] = [[
    app:get("/", { OPTIONS }, function()
      ml.group(function(g)
        g:spawn(ml.sleep, 1000)
        running:set()
        ml.catch(ml.sleep, 1000)
        culprit()
      end)
    end)]],
  ["a child of a group"] = [[
    app:get("/", { OPTIONS }, function()
      local g <close> = ml.group()
      g:spawn(function()
        local _ <close> = closer()
        running:set()
        ml.sleep(1000)
      end)
    end)]],
  ["an item of a gather"] = [[
    app:get("/", { OPTIONS }, function()
      ml.gather(function()
        local _ <close> = closer()
        ml.sleep(1000)
      end, function()
        running:set()
        ml.sleep(1000)
      end)
    end)]],
  ["a task that it has started"] = [[
    app:get("/", { OPTIONS }, function()
      ml.spawn(function()
        local _ <close> = closer()
        running:set()
        ml.sleep(1000)
      end)
      ml.sleep(1000)
    end)]],
  ["a middleware"] = [[
    app:use(function(req, next)
      local _ <close> = closer()
      return next(req)
    end)
    app:get("/", { OPTIONS }, function()
      running:set()
      ml.sleep(1000)
    end)]],
  ["a streamed response"] = [[
    app:get("/", { OPTIONS }, function()
      return web.response { stream = function(out)
        local _ <close> = closer()
        out:write "begun"
        running:set()
        ml.sleep(1000)
      end }
    end)]],
  ["a stream of events"] = [[
    app:get("/", { OPTIONS }, function()
      return web.events(function(send)
        local _ <close> = closer()
        send "begun"
        running:set()
        ml.sleep(1000)
      end)
    end)]],
}

--- How they are cut off: more options, and what is done when they run.
local cuts = {
  ["after its client has left"] = { "", "conn:reset()" },
  ["after its client has left, with time to its deadline"] = { "deadline = 1000", "conn:reset()" },
  ["after its deadline"] = { "deadline = 0.05", "conn:receive '\\r\\n' conn:close()" },
}

for cut, how in pairs(cuts) do
  describe("an error that a handler raises " .. cut .. " is in the log once", function()
    for what, code in pairs(handlers) do
      -- a deadline does not cut off the middleware around the handler
      if not (what == "a middleware" and cut == "after its deadline") then
        it("from " .. what, function()
          local output = support.run([[
require("moonloop.clock").virtual()
local function culprit() error "lost" end
local function closer() return setmetatable({}, { __close = function() culprit() return 1 end }) end
local app, running = web.app(), ml.event()
]] .. code:gsub("OPTIONS", how[1]) .. [[

local server = assert(web.listen(app, { port = 0 }))
local conn = assert(rawtcp.connect(server.port))
conn:send("GET / HTTP/1.1\r\nHost: here\r\n\r\n")
running:wait()
]] .. how[2] .. [[

while server.tasks > 0 do ml.sleep(0.002) end
server:stop(0)]])
          local _, count = output:gsub("lost\n", "")
          assert.equal(1, count, output)
          assert.matches("failed.-lost\nstack traceback:.-'culprit'", output)
          if not what:find "gather" and not what:find "started" then
            assert.matches("moonloop: GET / failed: ", output)
          end
        end)
      end
    end
  end)
end
