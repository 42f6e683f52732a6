-- What crosses to a worker and back: each value goes through the bytes twice.
local ml = require "moonloop"

local pool

local function copy(...)
  return pool:run(function(...) return ... end, ...)
end

--- The message of the error that `f` raises.
local function message_of(f, ...)
  local ok, err = pcall(f, ...)
  assert.is_false(ok)
  return tostring(err)
end

describe("values that cross to another Lua state", function()
  setup(function() pool = ml.executor.new { threads = 1 } end)
  teardown(function() pool:close() end)

  it("keeps nil, booleans and the number of values", function()
    assert.are.same(table.pack(nil, true, false, nil), table.pack(copy(nil, true, false, nil)))
    assert.are.equal(0, select("#", copy()))
  end)

  it("keeps integers integers and floats floats", function()
    for _, n in ipairs { 0, 1, -1, math.maxinteger, math.mininteger } do
      assert.are.equal(n, copy(n))
      assert.are.equal("integer", math.type(copy(n)))
    end
    for _, n in ipairs { 0.0, 1.0, 0.1, 5e-324, math.huge, -math.huge } do
      assert.are.equal(n, copy(n))
      assert.are.equal("float", math.type(copy(n)))
    end
  end)

  it("keeps every bit of a float: NaN, minus zero", function()
    local nan = copy(0 / 0)
    assert.is_true(nan ~= nan)
    assert.are.equal(string.pack("d", 0 / 0), string.pack("d", nan))
    assert.are.equal(-math.huge, 1 / copy(-0.0))
  end)

  it("keeps strings with NULs, empty ones and big ones", function()
    local big = ("\0\1\xff"):rep(1 << 18)
    for _, s in ipairs { "", "\0", "a\0b", ("x"):rep(63), ("x"):rep(64), ("x"):rep(300), big } do
      assert.is_true(s == copy(s))
    end
  end)

  it("keeps tables with every kind of key", function()
    local t = copy { 1, "two", { 3 }, [10] = "ten", [-1] = "minus", [1.5] = "float", [true] = "yes", name = "n" }
    assert.are.same({ 1, "two", { 3 }, [10] = "ten", [-1] = "minus", [1.5] = "float", [true] = "yes", name = "n" }, t)
  end)

  it("keeps a table with holes, and one that was filled backwards", function()
    local holes = copy { 1, nil, 3, nil, nil, 6 }
    assert.are.same({ 1, nil, 3, nil, nil, 6 }, holes)
    local backwards = {}
    for i = 100, 1, -1 do backwards[i] = i end
    backwards["1"] = "a string"
    assert.are.same(backwards, copy(backwards))
  end)

  it("keeps long lists of numbers, of either kind and mixed, and what is in them besides", function()
    for _, n in ipairs { 15, 16, 17, 63, 64, 65, 255, 256, 257, 1023, 1024, 5000, 160000 } do
      local integers, floats, mixed, words = {}, {}, {}, {}
      for i = 1, n do
        integers[i], floats[i] = -i, i / 3
        mixed[i] = i % 3 == 0 and i / 3 or i
        words[i] = i % 100 == 99 and "word" or i
      end
      integers.name = "a field"
      for _, list in ipairs { integers, floats, mixed, words } do
        local c = copy(list)
        assert.are.equal(n, #c)
        for i = 1, n do
          if c[i] ~= list[i] or math.type(c[i]) ~= math.type(list[i]) then
            error(("[%d] of %d became %s"):format(i, n, tostring(c[i])))
          end
        end
      end
      assert.are.equal("a field", copy(integers).name)
      assert.is_nil(next(copy(floats), n))
    end
  end)

  it("keeps lists made by Lua at their length, and numbers that change their kind anywhere", function()
    for _, n in ipairs { 4095, 4096, 4097, 8192, 131072 } do
      local exact = table.pack(table.unpack({}, 1, n))
      exact.n = nil
      for i = 1, n do exact[i] = i end
      for _, last in ipairs { 0.5, -1, "text", false } do
        exact[n] = last
        local c = copy(exact)
        assert.are.equal(n, #c)
        assert.are.equal(n - 1, c[n - 1])
        assert.is_true(rawequal(last, c[n]))
        assert.are.equal(math.type(last), math.type(c[n]))
        assert.is_nil(next(c, n))
      end
    end
  end)

  it("names the place of a value that cannot cross after many numbers", function()
    local list = {}
    for i = 1, 10000 do list[i] = i end
    list[10001] = coroutine.create(print)
    assert.matches("argument #2[10001]: a coroutine", message_of(copy, list), 1, true)
  end)

  it("keeps a long list even if the caller's stack is nearly full", function()
    local list = {}
    for i = 1, 150000 do list[i] = i end
    local function deep(n, ...)
      if n == 0 then return copy(list) end
      local c = deep(n - 1, ...)
      return c
    end
    local c = deep(4, table.unpack(list))
    assert.are.equal(150000, #c)
    assert.are.equal(150000, c[150000])
  end)

  it("keeps every pair of a list that grew, shrank and has fields, wherever Lua keeps them", function()
    math.randomseed(5)
    for _ = 1, 100 do
      local list, n = { 1, 2, 3, x = 1, y = 2, ["4"] = "four" }, math.random(3, 800)
      if math.random(2) == 1 then list = table.pack(table.unpack({ 1, 2, 3 }, 1, math.random(3, 200))) end
      for _ = 1, math.random(0, 40) do list["k" .. math.random(100)] = math.random(9) end
      for i = 4, n do list[i] = i end
      for _ = 1, math.random(0, 20) do list[math.random(n + 5)] = nil end
      for _ = 1, math.random(0, 20) do list["k" .. math.random(100)] = nil end
      for _ = 1, math.random(0, 5) do list[n + math.random(2000)] = math.random() end
      assert.are.same(list, copy(list))
    end
  end)

  it("keeps tables as keys of tables", function()
    local key = { 1 }
    local t = copy { [key] = { key } }
    local k, v = next(t)
    assert.are.same({ 1 }, k)
    assert.are.equal(k, v[1])
  end)

  it("EX-08 copies shared and cyclic tables with their shape, never by reference", function()
    local shared = {}
    local t = { shared, shared, self = nil }
    t.self = t
    local c = copy(t)
    assert.are_not.equal(t, c)
    assert.are.equal(c[1], c[2])
    assert.are.equal(c, c.self)
    local a, b = copy(shared, shared)
    assert.are.equal(a, b)
  end)

  it("copies tables nested 200,000 levels deep without using the C stack", function()
    local deep = {}
    local at = deep
    for _ = 1, 200000 do
      at.next = {}
      at = at.next
    end
    local n = 0
    local c = copy(deep)
    while c.next do n, c = n + 1, c.next end
    assert.are.equal(200000, n)
  end)

  it("refuses values that are nested too deeply with an error, and keeps working", function()
    local deep = {}
    for _ = 1, 1000000 do deep = { deep } end
    assert.matches("^.*cannot send argument #2%[1%]%[1%].*: tables nested too deeply$", message_of(copy, deep))
    assert.are.equal(1, copy(1))
  end)

  it("copies the number of values that Lua can return", function()
    local many = {}
    for i = 1, 10000 do many[i] = i end
    assert.are.equal(10000, select("#", copy(table.unpack(many))))
  end)

  it("keeps ml.json.null and the marks of arrays and objects", function()
    local t = copy { null = ml.json.null, array = ml.json.array {}, object = ml.json.object {} }
    assert.are.equal(ml.json.null, t.null)
    assert.are.equal("[]", ml.json.encode(t.array))
    assert.are.equal("{}", ml.json.encode(t.object))
    assert.are.equal("[1]", pool:run(function(v) return ml.json.encode(v) end, ml.json.array { 1 }))
  end)

  it("keeps metatables, once for all the tables that have it", function()
    local Class = { __name = "Class" }
    Class.__index = Class
    function Class:double() return self.n * 2 end
    function Class.__add(a, b) return setmetatable({ n = a.n + b.n }, Class) end
    local a, b = setmetatable({ n = 20 }, Class), setmetatable({ n = 1 }, Class)
    assert.are.equal(42, pool:run(function() return (a + b):double() end))
    local x, y = copy(a, b)
    assert.are.equal(getmetatable(x), getmetatable(y))
    assert.are_not.equal(Class, getmetatable(x))
    assert.are.equal(21, (x + y).n)
    assert.are.equal("k", getmetatable(copy(setmetatable({}, { __mode = "k" }))).__mode)
  end)

  it("keeps classes that inherit, and a metatable that is the table's own", function()
    local Base, Derived = {}, {}
    Base.__index, Derived.__index = Base, Derived
    function Base:name() return "base " .. self.id end
    function Derived:twice() return self:name() .. " " .. self:name() end
    setmetatable(Derived, Base)
    assert.are.equal("base 7 base 7", pool:run(Derived.twice, setmetatable({ id = 7 }, Derived)))
    local own = {}
    own.__index = own
    local c = copy(setmetatable(own, own))
    assert.are.equal(c, getmetatable(c))
  end)

  it("does not call metamethods on the way", function()
    local called = false
    local function note() called = true end
    local strange = { __index = note, __newindex = note, __len = note, __pairs = note, __eq = note }
    local c = copy(setmetatable({ 1, nil, 3, x = { 4 } }, strange))
    assert.are.equal(3, rawget(c, 3))
    assert.are.equal(4, rawget(c, "x")[1])
    assert.is_false(called)
  end)

  it("EX-08 says so if it is the metatable that cannot cross", function()
    local co = coroutine.create(print)
    assert.matches("argument #2.a, metatable.__index.co: a coroutine$",
      message_of(copy, { a = setmetatable({}, { __index = { co = co } }) }))
  end)

  it("keeps error objects as they are", function()
    local _, err = ml.timeout(0, ml.sleep, 1)
    local c = copy(err)
    assert.are_not.equal(err, c)
    assert.is_true(ml.is_error(c))
    assert.are.equal("timeout", c.kind)
    assert.are.equal(tostring(err), tostring(c))
  end)
end)

describe("functions that cross", function()
  setup(function() pool = ml.executor.new { threads = 1 } end)
  teardown(function() pool:close() end)

  it("EX-08 have copies of their upvalues", function()
    local n, list = 40, { 2 }
    assert.are.equal(42, pool:run(function() return n + list[1] end))
    pool:run(function() n, list[1] = 0, 0 end)
    assert.are.equal(42, n + list[1])
  end)

  it("call themselves and each other", function()
    local function factorial(n) return n <= 1 and 1 or n * factorial(n - 1) end
    assert.are.equal(3628800, pool:run(factorial, 10))
    local is_odd
    local function is_even(n) return n == 0 or is_odd(n - 1) end
    function is_odd(n) return n ~= 0 and is_even(n - 1) end
    assert.is_true(pool:run(is_even, 10))
  end)

  it("share the upvalues that they shared", function()
    local n = 0
    local function increment() n = n + 1 end
    local function get() return n end
    assert.are.equal(2, pool:run(function()
      increment()
      increment()
      return get()
    end))
    local inc, read = copy(increment, get)
    inc()
    assert.are.equal(1, read())
    assert.are.equal(0, n)
  end)

  it("share an upvalue with a function inside of it", function()
    local n = 0
    local made = copy(function()
      local function bump() n = n + 1 return n end
      return bump, function() return n end
    end)
    local bump, read = made()
    bump()
    assert.are.equal(1, read())
  end)

  it("have up to 255 upvalues", function()
    local code = {}
    for i = 1, 200 do code[#code + 1] = ("local v%d = %d"):format(i, i) end
    code[#code + 1] = "return function() return v1"
    for i = 2, 200 do code[#code + 1] = (" + v%d"):format(i) end
    code[#code + 1] = " end"
    local sum = load(table.concat(code, "\n"))()
    assert.are.equal(20100, pool:run(sum))
  end)

  it("see the worker's globals as _ENV, not a copy of the caller's", function()
    _G.only_here = true -- luacheck: ignore
    assert.is_nil(pool:run(function() return only_here end)) -- luacheck: ignore
    _G.only_here = nil -- luacheck: ignore
    assert.is_true(pool:run(function() return _G == _ENV and _G.print == print end))
  end)

  it("take the standard library and moonloop with them by name", function()
    local format, floor, str, g = string.format, math.floor, string, _G
    local need, stderr = require, io.stderr
    assert.are.equal("3|X|ok", pool:run(function()
      assert(g == _G and need == require and stderr == io.stderr)
      ml.sleep(0)
      return format("%d|%s|%s", floor(3.7), str.upper("x"), ml.json.decode('["ok"]')[1])
    end))
    assert.are.equal(string.format, copy(string.format))
    assert.are.equal(string, copy(string))
    assert.are.equal(ml, copy(ml))
    assert.are.equal(ml.executor, copy(ml.executor))
    assert.are.equal(ml.executor.run, copy(ml.executor.run))
  end)

  it("take the C functions of other modules by name", function()
    local encode = require("cjson").encode
    assert.are.equal("[true]", pool:run(function() return encode { true } end))
  end)

  it("may be C functions themselves", function()
    assert.are.equal("abc", pool:run(string.lower, "ABC"))
  end)

  it("have their code sent once: a worker that has it reuses it", function()
    local function f() end
    local function keep(it)
      local before = _G.kept -- luacheck: ignore
      _G.kept = it -- luacheck: ignore
      return before == it
    end
    assert.is_false(pool:run(keep, f))
    assert.is_true(pool:run(keep, f))
    collectgarbage()
    assert.is_true(pool:run(keep, f))
  end)

  it("stay separate functions even if their code is the same", function()
    local set = {}
    for i = 1, 5 do set[function() return "the same" end] = i end
    local n, c = 0, copy(set)
    for f, i in pairs(c) do
      n = n + 1
      assert.are.equal("the same", f())
      assert.are.equal(i, c[f])
    end
    assert.are.equal(5, n)
  end)

  it("with the same code and different upvalues are not mixed up", function()
    local function counter(from)
      return function()
        from = from + 1
        return from
      end
    end
    local a, b = copy(counter(10), counter(20))
    assert.are.same({ 11, 21, 12, 22 }, { a(), b(), a(), b() })
    assert.are.equal(31, pool:run(counter(30)))
    assert.are.equal(31, pool:run(counter(30)))
  end)

  it("never run another function's code, however many are sent and collected", function()
    for i = 1, 1500 do
      local f = load(("return %d, %q"):format(i, ("x"):rep(i % 7)))
      local n, x = pool:run(f)
      assert.are.equal(i, n)
      assert.are.equal(i % 7, #x)
      if i % 100 == 0 then collectgarbage() end
    end
  end)

  it("have the worker's globals, even if a job changed the _ENV of a function like it", function()
    local function get() return tostring ~= nil end
    assert.is_true(pool:run(get))
    pool:run(function(f) debug.setupvalue(f, 1, {}) end, get)
    assert.is_true(pool:run(get))
  end)

  it("keep their line numbers", function()
    local line = debug.getinfo(1, "l").currentline + 1
    local message = message_of(pool.run, pool, function() error("here") end)
    assert.matches("transfer_spec.lua:" .. line .. ": here", message, 1, true)
  end)
end)

describe("modules that cross by name", function()
  local dir, path, files

  --- Writes the module `name`, which lies where workers find it, too.
  local function module(name, code)
    local file = dir .. "/" .. name .. ".lua"
    files[#files + 1] = file
    local f = assert(io.open(file, "w"))
    f:write(code)
    f:close()
    package.loaded[name] = nil
    return require(name)
  end

  setup(function()
    dir, path, files = os.tmpname(), package.path, {}
    os.remove(dir)
    assert(os.execute("mkdir " .. dir))
    package.path = dir .. "/?.lua;" .. path
    pool = ml.executor.new { threads = 1 }
  end)

  teardown(function()
    pool:close()
    package.path = path
    for _, file in ipairs(files) do os.remove(file) end
    os.remove(dir)
  end)

  it("are the worker's own, and need nothing that can be copied", function()
    local m = module("transfer_spec_a", "return { co = coroutine.create(print), name = 'as in the file' }")
    m.name = "changed here"
    assert.are.equal("as in the file", pool:run(function() return m.name end))
    assert.is_true(pool:run(function() return m == require "transfer_spec_a" end))
    assert.are.equal(m, copy(m))
  end)

  it("give objects of their classes the receiver's class, both ways", function()
    local Account = module("transfer_spec_b", [[
      local Account = {}
      Account.__index = Account
      function Account.new(n) return setmetatable({ n = n }, Account) end
      function Account:add(n) self.n = self.n + n return self end
      return Account]])
    local sum = pool:run(Account.add, Account.new(1), 41)
    assert.are.equal(42, sum.n)
    assert.are.equal(Account, getmetatable(sum))
    assert.is_true(pool:run(function(a) return getmetatable(a) == require "transfer_spec_b" end, sum))
  end)

  it("include moonloop's own modules in Lua", function()
    local fields = require "moonloop.http.fields"
    assert.is_true(pool:run(function() return fields == require "moonloop.http.fields" end))
    assert.are.equal(fields, copy(fields))
  end)

  it("are copied instead if a worker would not find them", function()
    package.preload.transfer_spec_c = function() return { x = 1 } end
    local m = require "transfer_spec_c"
    m.x = 2
    assert.are.equal(2, pool:run(function() return m.x end))
    package.preload.transfer_spec_c, package.loaded.transfer_spec_c = nil, nil
  end)

  it("can be required in a worker even if package.preload has them", function()
    local file, co = io.tmpfile(), coroutine.create(print)
    package.preload.transfer_spec_e = function(name) return { name = name, format = string.format } end
    package.preload.transfer_spec_f = function() return file and co end -- cannot cross
    local made <close> = ml.executor.new { threads = 1 }
    assert.are.equal("transfer_spec_e", made:run(function() return require "transfer_spec_e".name end))
    assert.matches("module 'transfer_spec_f' not found", message_of(made.run, made, require, "transfer_spec_f"))
    package.preload.transfer_spec_e, package.preload.transfer_spec_f = nil, nil
  end)

  it("raise in the caller, with the module's name, what loading them raises", function()
    _G.transfer_spec_main = true -- luacheck: ignore
    local m = module("transfer_spec_d", "if not transfer_spec_main then error 'not here' end return {}")
    _G.transfer_spec_main = nil -- luacheck: ignore
    assert.matches("cannot load the module 'transfer_spec_d', to which a value belongs: .*not here",
      message_of(pool.run, pool, function() return m end))
  end)
end)

describe("what cannot cross", function()
  setup(function() pool = ml.executor.new { threads = 1 } end)
  teardown(function() pool:close() end)

  local co = coroutine.create(print)

  it("EX-08 is an error that names the argument", function()
    assert.matches("cannot send argument #2: a coroutine$", message_of(copy, co))
    assert.matches("cannot send argument #3.items[3]: a coroutine",
      message_of(copy, 1, { items = { 1, 2, co } }), 1, true)
    assert.matches('argument #2["a b"][2.5][true]: a',
      message_of(copy, { ["a b"] = { [2.5] = { [true] = co } } }), 1, true)
    assert.matches("argument #2, key [a thread]: a coroutine", message_of(copy, { [co] = 1 }), 1, true)
  end)

  it("EX-08 is an error that names the upvalue and its function", function()
    local conn = { socket = io.tmpfile() }
    local line = debug.getinfo(1, "l").currentline + 1
    local function use() return conn.socket end
    assert.matches("cannot send upvalue 'conn' of function at .*transfer_spec.lua:" .. line
      .. "%.socket: a userdata %(FILE%*%), which cannot leave its Lua state$", message_of(pool.run, pool, use))
  end)

  it("is an error with the caller's position", function()
    local line = debug.getinfo(1, "l").currentline + 1
    local _, err = pcall(function() pool:run(print, co) end)
    assert.matches("transfer_spec.lua:" .. line .. ": cannot send", err, 1, true)
  end)

  it("names C functions of no module, tables with a finalizer, and tasks", function()
    assert.matches("a C function of no loaded module", message_of(copy, string.gmatch("a", "a")))
    assert.matches("argument #2.x: a table with a finalizer (__gc)",
      message_of(copy, { x = setmetatable({}, { __gc = function() end }) }), 1, true)
    assert.matches("a userdata %(moonloop.task%)", message_of(copy, ml.current()))
  end)

  it("is named in results and errors too", function()
    assert.matches("cannot send result #2.co: a coroutine",
      message_of(pool.run, pool, function() return 1, { co = coroutine.create(print) } end), 1, true)
    assert.matches("cannot send the error.co: a coroutine",
      message_of(pool.run, pool, function() error { co = coroutine.create(print) } end), 1, true)
  end)

  it("leaves the pool as it was", function()
    message_of(copy, co)
    assert.are.equal(1, copy(1))
    assert.are.equal(0, pool:stats().running)
  end)
end)
