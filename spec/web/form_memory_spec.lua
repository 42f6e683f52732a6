-- The memory of forms that come to nothing: it is free at once, not when the collector has run.
local sanitized = require("spec.support").sanitized
local support = require "spec.support.web"

-- How many kB are resident more than before, after 60 forms of which 1 MB has come, one after the other, and without a
-- collector. `over(conn)` is the end of each.
local function grown(limits, max_buffered, over)
  local output = support.run(([[
    local rawtcp = require("spec.support").rawtcp
    local eventually = require("spec.support.tasks").eventually
    local app = web.app()
    local reading = 0
    app:post("/", { max_body = 8 << 20 }, function(req)
      reading = reading + 1
      local _ <close> = setmetatable({}, { __close = function() reading = reading - 1 end })
      return tostring(#req:form { %s }.f.body)
    end)
    local piece = ("x"):rep(1 << 20)
    local head = '--B\r\nContent-Disposition: form-data; name="f"; filename="x"\r\n\r\n'
    local lines = "Content-Type: multipart/form-data; boundary=B\r\nContent-Length: 4194304\r\n"
    local function resident()
      for line in io.lines "/proc/self/status" do
        local kilobytes = line:match "^VmRSS:%%s+(%%d+)"
        if kilobytes then return tonumber(kilobytes) end
      end
    end
    support.serving(app, function(port)
      local function form()
        local conn <close> = assert(rawtcp.connect(port))
        conn:send(support.request("POST", "/", lines, head))
        conn:send(piece)
        %s
      end
      for _ = 1, 5 do form() end
      collectgarbage "stop"
      local before = resident()
      for _ = 1, 60 do form() end
      print("grown by " .. resident() - before)
    end, { max_buffered = %d })]]):format(limits, over, max_buffered))
  return assert(tonumber(output:match "grown by (%-?%d+)"), output)
end

describe("the memory of a form", function()
  if sanitized then return pending "sanitizers keep what is freed" end

  for why, case in pairs {
    ["the server has too much to keep"] = { "", 700000, "assert(support.receive(conn).status == 503)" },
    ["it is too long"] = { "max_file = 700000", 8 << 20, "assert(support.receive(conn).status == 413)" },
    ["its client goes away"] = { "", 8 << 20, [[
      eventually(function() return reading == 1 end)
      conn:close() -- the server gets all that was sent
      eventually(function() return reading == 0 end)]] },
  } do
    it("is free at once where " .. why, function()
      local kilobytes = grown(table.unpack(case))
      assert.is_true(kilobytes < 20000, kilobytes .. " kB")
    end)
  end

  it("is not kept beside that of its values", function()
    local output = support.run [[
      local rawtcp = require("spec.support").rawtcp
      local app = web.app()
      local values = {}
      app:post("/", { max_body = 8 << 20 }, function(req)
        local form = req:form()
        values[#values + 1] = form.f.body
        return "taken"
      end)
      local content = ("x"):rep(4 << 20)
      local head = '--B\r\nContent-Disposition: form-data; name="f"; filename="x"\r\n\r\n'
      local tail = "\r\n--B--\r\n"
      local lines = ("Content-Type: multipart/form-data; boundary=B\r\nContent-Length: %d\r\n"):format(
        #head + #content + #tail)
      local function resident()
        for line in io.lines "/proc/self/status" do
          local kilobytes = line:match "^VmRSS:%s+(%d+)"
          if kilobytes then return tonumber(kilobytes) end
        end
      end
      support.serving(app, function(port)
        local conns, before = {}, resident()
        for i = 1, 20 do -- all of them have come, but for their ends, before the first is complete
          conns[i] = assert(rawtcp.connect(port))
          conns[i]:send(support.request("POST", "/", lines, head))
          conns[i]:send(content)
        end
        for i = 1, 20 do
          conns[i]:send(tail)
          assert(support.receive(conns[i]).status == 200)
          conns[i]:close()
        end
        print("grown by " .. resident() - before)
      end)]]
    local kilobytes = assert(tonumber(output:match "grown by (%-?%d+)"), output)
    assert.is_true(kilobytes < 20 * 4096 * 1.4, kilobytes .. " kB")
  end)

  it("is collected before it is as much as what lives", function()
    local output = support.run [[
      local app = web.app()
      local kept, most, live = {}, 0, 0
      app:post("/", { max_body = 8 << 20 }, function(req)
        local body = req:form().f.body
        if #kept < 10 then kept[#kept + 1] = body end
        most = math.max(most, collectgarbage "count")
        return "taken"
      end)
      local content = ("x"):rep(4 << 20)
      support.serving(app, function(port)
        local client <close> = ml.http.client { base_url = "http://127.0.0.1:" .. port }
        local headers = { ["Content-Type"] = "multipart/form-data; boundary=B" }
        local head = '--B\r\nContent-Disposition: form-data; name="f"; filename="x"\r\n\r\n'
        local body = head .. content .. "\r\n--B--\r\n"
        local function form() assert(client:post("/", { body = body, headers = headers }).ok) end
        for _ = 1, 10 do form() end
        collectgarbage()
        collectgarbage()
        live, most = collectgarbage "count", 0
        for _ = 1, 40 do form() end
        print(("%d more than %d"):format((most - live) // 1, live // 1))
      end)]]
    local more, live = output:match "(%d+) more than (%d+)"
    assert(tonumber(more) < tonumber(live), output)
  end)
end)
