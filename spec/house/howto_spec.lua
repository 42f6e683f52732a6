-- doc/how-to against the project: its examples run, and its proxy and its service are taken by nginx and systemd.
local examples = require "spec.support.examples"
local folders = require "spec.support.folder"
local lfs = require "lfs"
local ml = require "moonloop"
local processes = require "spec.support.process"
local free_port = require("spec.support.servers").free_port
local keep_reports = require "reports".keep
local servers = require "spec.support.nginx"

local FOLDER = "doc/how-to/"

local function block(page, language) return folders.read(FOLDER .. page):match("\n```" .. language .. "\n(.-)\n```") end

describe("doc/how-to", function()
  local index = folders.read(FOLDER .. "README.md")
  for file in lfs.dir(FOLDER) do
    if file:find "%.md$" and file ~= "README.md" then
      it("lists " .. file, function() assert(index:find("](" .. file .. ")", 1, true)) end)
      if folders.read(FOLDER .. file):find("\n```lua\n", 1, true) then
        for _, example in ipairs(examples.of(FOLDER .. file)) do
          it(example.name, function()
            local reports <close> = keep_reports()
            example.run()
            local expected = example.text:find('error("boom")', 1, true) and "boom" or "^$"
            assert.matches(expected, reports:text())
          end)
        end
      end
    end
  end
  for file in lfs.dir(FOLDER) do
    if file:find "%.md$" then
      it("has links in " .. file .. " to files that exist", function()
        for target in folders.read(FOLDER .. file):gmatch "%]%(([%w./_-]+)" do
          assert(io.open(FOLDER .. target), file .. " names " .. target):close()
        end
      end)
    end
  end
end)

describe("the proxy of behind-a-proxy.md", function()
  if not servers.is_there() then return pending "nginx is not installed" end

  it("passes on who asked, and events as they come", function()
    local text = block("behind-a-proxy.md", "lua")
    local app = assert(load(text, "=behind-a-proxy.md"))()
    app:get("/events", function()
      return ml.web.events(function(send)
        send "first"
        ml.sleep(math.huge) -- until the client has seen it
      end)
    end)
    local server = assert(ml.web.listen(app, { port = 0 }))
    local port = free_port()
    local config, n = block("behind-a-proxy.md", "nginx"):gsub("127%.0%.0%.1:8000", "127.0.0.1:" .. server.port)
    assert.equal(1, n)
    config, n = config:gsub("127%.0%.0%.1:8080", "127.0.0.1:" .. port)
    assert.equal(1, n)
    local nginx <close> = servers.start(config)
    assert(nginx.pid)
    local client = ml.http.client { base_url = "http://127.0.0.1:" .. port,
      retries = { attempts = 100, base = 0.02, max = 0.1 } }
    local res = assert(client:get("/whoami", { headers = { Host = "shop.example" } }))
    assert.same({ address = "127.0.0.1", scheme = "http", host = "shop.example" }, res:json())
    assert.matches("^%x+$", res.headers["x-request-id"])
    local first = ""
    for chunk in assert(client:get("/events", { stream = true })):chunks() do
      first = first .. chunk
      if first == "data: first\n\n" then break end
    end
    client:close()
    server:stop(0)
  end)
end)

describe("the service of deploying.md", function()
  if not os.execute "command -v systemd-analyze >/dev/null" then
    return pending "systemd-analyze is not installed"
  end

  it("is a unit that systemd accepts", function()
    local unit = block("deploying.md", "ini"):gsub("/usr/local/bin/moonloop", "/bin/true")
    local folder <close> = folders.new { ["myapp.service"] = unit }
    local output, status = processes.sh(("systemd-analyze verify '%s/myapp.service' 2>&1"):format(folder.path))
    assert.equal(0, status, output)
  end)
end)
