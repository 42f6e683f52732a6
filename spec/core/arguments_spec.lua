-- Errors about wrong arguments: they have the line of the script and the public name of the function,
-- and list the known names of options.
local ml = require "moonloop"
local web = ml.web

local HERE = "arguments_spec.lua:%d+: "

--- The message of what `f(...)` raises.
local function raised(f, ...)
  local ok, err = pcall(f, ...)
  assert.is_false(ok)
  return tostring(err)
end

describe("an error about an argument", function()
  local calls = {
    ["ml.sleep"] = { ml.sleep, "soon" }, ["ml.spawn"] = { ml.spawn, 1 }, ["ml.timeout"] = { ml.timeout, 1, 2 },
    ["ml.shield"] = { ml.shield, 1 }, ["ml.deadline"] = { ml.deadline, "x" }, ["ml.group"] = { ml.group, 1 },
    ["ml.semaphore"] = { ml.semaphore, "x" }, ["ml.queue"] = { ml.queue, -1 }, ["ml.var"] = { ml.var },
    ["ml.map"] = { ml.map, 1 }, ["ml.wait"] = { ml.wait, 1 }, ["ml.as_completed"] = { ml.as_completed, 1 },
    ["ml.dump"] = { ml.dump, 1 }, ["ml.catch"] = { ml.catch }, ["ml.json.encode"] = { ml.json.encode },
    ["ml.json.decode"] = { ml.json.decode, {} }, ["ml.json.array"] = { ml.json.array, 1 },
    ["ml.executor.run"] = { ml.executor.run, 1 }, ["ml.executor.new"] = { ml.executor.new, 1 },
    ["ml.web.listen"] = { web.listen, {} }, ["ml.web.abort"] = { web.abort, "404" },
    ["ml.web.events"] = { web.events }, ["ml.web.file"] = { web.file }, ["ml.web.redirect"] = { web.redirect },
    ["ml.web.response"] = { web.response }, ["ml.web.signer"] = { web.signer }, ["ml.web.token"] = { web.token, 1 },
  }
  for name, call in pairs(calls) do
    it("names " .. name .. " as scripts do, not by its internal name", function()
      local message = raised(table.unpack(call))
      assert.matches(HERE .. "bad argument #%d to '" .. name:gsub("%.", "%%.") .. "' ", message)
      assert.equal(message, (raised(function() return (call[1](table.unpack(call, 2))) end)
        :gsub("lua:%d+", message:match("lua:%d+"))))
    end)
  end

  it("names a method with its class, and does not count the object", function()
    assert.matches(HERE .. "bad argument #1 to 'queue:put' ", raised(ml.queue().put, ml.queue()))
    local d <close> = ml.deadline(10)
    assert.matches(HERE .. "bad argument #1 to 'deadline:extend' ", raised(d.extend, d, "x"))
    assert.matches(HERE .. "bad argument #1 to 'app:use' ", raised(web.app().use, web.app(), 1))
  end)

  it("has the line of the script even if Lua parts of the host are in between", function()
    assert.matches(HERE .. "ml.gather: cannot wait inside 'table.sort'", raised(function()
      table.sort({ 1, 2 }, function() ml.map({ 1 }, print) end)
    end))
    assert.matches(HERE .. "ml.spawn: cpu has to be", raised(function() ml.race { { print, cpu = -1 } } end))
  end)

  it("says that a method was called with a dot", function()
    local task, queue, client = ml.spawn(print, nil), ml.queue(), ml.http.client()
    task:cancel()
    for name, f in pairs {
      ["task:await"] = function() task.await() end,
      ["task:cancel"] = function() task.cancel("reason") end,
      ["queue:put"] = function() queue.put(1) end,
      ["event:set"] = function() ml.event().set() end,
      ["future:await"] = function() ml.future().await() end,
      ["lock:acquire"] = function() ml.lock().acquire() end,
      ["var:get"] = function() ml.var("v").get() end,
      ["group:spawn"] = function() ml.group(function(g) g.spawn(print) end) end,
      ["pool:run"] = function() ml.executor.default().run(print) end,
      ["client:get"] = function() client.get("http://127.0.0.1:1") end,
      ["client:close"] = function() client.close() end,
      ["app:get"] = function() web.app().get("/", print) end,
      ["app:use"] = function() web.app().use(print) end,
      ["signer:sign"] = function() web.signer(("x"):rep(32)).sign("x") end,
      ["response:set_cookie"] = function() web.response {}.set_cookie("a", "b") end,
      ["response:add_headers"] = function() web.response {}.add_headers {} end,
    } do
      local class = name:match "^%a+"
      assert.matches(HERE .. name .. " was called without its " .. class .. " %(got %a+%): methods are called with " ..
        "a colon, not with a dot$", raised(f))
    end
  end)
end)

describe("unknown options", function()
  local function nop() end
  local takers = {
    ["ml.gather"] = function(opts) ml.gather({ nop }, opts) end,
    ["ml.race"] = function(opts) ml.race({ nop }, opts) end,
    ["ml.any"] = function(opts) ml.any({ nop }, opts) end,
    ["ml.map"] = function(opts) ml.map({}, nop, opts) end,
    ["ml.wait"] = function(opts) ml.wait({}, opts) end,
    ["ml.dump"] = ml.dump,
    ["ml.json.encode"] = function(opts) ml.json.encode(1, opts) end,
    ["ml.executor.new"] = ml.executor.new,
    ["pool:map"] = function(opts) ml.executor.default():map({}, nop, opts) end,
    ["a request"] = function(opts) ml.http.get("http://127.0.0.1:1", opts) end,
    ["ml.http.client"] = ml.http.client,
    retries = function(opts) ml.http.client { retries = opts } end,
    ["the hooks of a client"] = function(opts) ml.http.client { hooks = opts } end,
    ["ml.web.app"] = web.app,
    ["ml.web.listen"] = function(opts) web.listen(web.app(), opts) end,
    ["a route"] = function(opts) web.app():get("/", opts, nop) end,
    ["app:static"] = function(opts) web.app():static("/", "spec", opts) end,
    ["ml.web.cors"] = web.cors,
    ["ml.web.compress"] = web.compress,
    ["ml.web.request_id"] = web.request_id,
    ["ml.web.events"] = function(opts) web.events(nop, opts) end,
    ["ml.web.file"] = function(opts) web.file("x", opts) end,
    ["ml.web.response"] = web.response,
    ["ml.web.signer"] = function(opts) web.signer(("x"):rep(32), opts) end,
    ["cookie 'a'"] = function(opts) web.response {}:set_cookie("a", "b", opts) end,
  }
  for whose, take in pairs(takers) do
    it("of " .. whose .. " are an error that lists the known ones", function()
      assert.matches(HERE .. "unknown %a+ 'zzzzzz' of " .. whose:gsub("%p", "%%%0") .. " %(known: [^)]+%)$",
        raised(take, { zzzzzz = 1 }))
    end)
  end

  it("of {function, ...} lists are an error that lists the known ones", function()
    local list = { nop, zzzzzz = 1 }
    for _, f in ipairs { ml.spawn, ml.executor.run, function(l) ml.gather { l } end, function(l) ml.race { l } end,
      function(l) ml.group(function(g) g:spawn(l) end) end } do
      assert.matches(HERE .. "unknown name 'zzzzzz' of a {function, ...} list %(known: cpu and slice%)$",
        raised(f, list))
    end
    assert.matches("'cpus' of .* %(did you mean 'cpu'%?%)$", raised(ml.spawn, { nop, cpus = 1 }))
  end)

  it("are an error that suggests a similar name, if there is one", function()
    for name, meant in pairs { timout = "timeout", Timeout = "timeout", timeuot = "timeout", header = "headers",
      ["follow-redirects"] = "follow_redirects", metod = false, xyz = false } do
      local message = raised(ml.http.get, "http://127.0.0.1:1", { [name] = 1 })
      assert.equal(meant, message:match "%(did you mean '([%a_]+)'%?%)" or false)
    end
  end)
end)
